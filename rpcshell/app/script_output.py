"""What a run without a prompt says: results and texts on stdout, notes and errors on stderr, as plain lines.

One compact line of JSON per result, one line per error.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import IO, TYPE_CHECKING, Final

from rpcshell.client.errors import CallError, Cancelled, ShellError, SpawnFailed, SyntaxProblem, Unexpected, UsageError
from rpcshell.shell.output import Output
from rpcshell.shell.statements import Statement
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact, in_the_shells_words, plain_text
from rpcshell.view.settings import Settings
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcshell.shell.call import Call

_LINE_AGAIN: Final = "\r\x1b[K"
"""Has a terminal write over its line (ECMA-48, EL)."""


class OutputClosed(Exception):
    """Whoever read stdout has closed it: there is nobody left to answer to."""


class OutputFailed(UsageError):
    """What is said to stdout cannot be written, so that whatever comes next is in vain."""


class ScriptOutput(Output):
    """Plain streams: results and texts to stdout, notes and errors to stderr.

    Stdout takes bytes, since results are UTF-8 whatever the locale says. Stderr is None where it is closed.
    """

    def __init__(self, stdout: IO[bytes], stderr: IO[str] | None, settings: Settings | None = None) -> None:
        self.settings = Settings(script=True) if settings is None else settings
        self._stdout = stdout
        self._stderr = stderr
        self._writing = threading.RLock()
        self._has_progress = False
        self._statement = Statement("")

    def begin(self, statement: Statement) -> None:
        """Have what is said of lines from now on be said of this one."""
        self._statement = statement

    @property
    def at_terminal(self) -> bool:
        """Whether a person sees what is said to stderr, on a terminal that can draw over a line."""
        terminal = self._stderr is not None and self._stderr.isatty()
        return terminal and os.environ.get("TERM", "dumb") != "dumb"

    def result(self, call: Call) -> None:
        """Write the result, as one line of JSON unless the settings say otherwise."""
        self.value("", call.result)
        self.timing(call)

    def value(self, name: str, value: object) -> None:
        """Write a value as a result is written; its name is for people."""
        width = None
        if self.settings.format in {"table", "raw"} and self._stdout.isatty():
            width = columns_of_terminal()
        self._write(plain_text(value, self.settings, indented=False, width=width))

    def timing(self, call: Call | CallError) -> None:
        """Write to stderr how long a call took and who served it, where the settings ask for that."""
        if self.settings.time or self.settings.meta:
            from rpcshell.view.render import render_footer

            if footer := render_footer(call.elapsed, call.meta, self.settings, instance=call.instance):
                self.note(footer)

    def progress(self, text: str) -> None:
        """Draw over the line from before, where stderr is a terminal; any thread may call this."""
        if self._stderr is None or not (self._has_progress or (text and self.at_terminal)):
            return
        with self._writing, contextlib.suppress(OSError):
            shown = cut(visible(text), columns_of_terminal() - 1)
            self._has_progress = bool(shown)
            self._stderr.write(_LINE_AGAIN + shown)
            self._stderr.flush()

    def text(self, text: str) -> None:
        """Write a command's text."""
        self._write((text, "\n"))

    def _write(self, pieces: Iterable[str]) -> None:
        self.progress("")
        try:
            for piece in pieces:
                self._stdout.write(piece.encode("utf-8", "backslashreplace"))
            self._stdout.flush()
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as error:
            raise OutputFailed(f"the output cannot be written: {error.strerror}") from error

    def note(self, text: str) -> None:
        """Write one line of information to stderr."""
        self._complain(visible(text))

    def doubt(self, problem: SyntaxProblem) -> None:
        """Write what is doubtful in a line, with its place in the script."""
        self.note(f"{_with_column(self._statement.place, self._statement.text, problem)}: {problem}")

    def error(self, error: ShellError, place: str = "", text: str = "") -> None:
        """Write an error as one line; the traceback of a failed application, or of a fault of ours, follows.

        The place is `file:line` of a script, the text what stands there.
        """
        if isinstance(error, SyntaxProblem):
            place = _with_column(place, text, error)
        what = error.at_end if isinstance(error, Cancelled) else str(error)
        if isinstance(error, CallError):
            said, hint = in_the_shells_words(error)
            what = f"{error.method}: error {error.code}: {said}{_data(error)}{f' ({hint})' if hint else ''}"
        self._complain("rpcshell: " + visible(f"{place}: {what}" if place else what))
        if isinstance(error, CallError):
            self.timing(error)
        if isinstance(error, SpawnFailed | Unexpected) and error.traceback:
            self._complain(visible(error.traceback.rstrip("\n"), newlines=True))

    def _complain(self, text: str) -> None:
        self.progress("")
        # Nobody may be reading it, which is no reason to stop.
        if self._stderr is not None:
            with contextlib.suppress(OSError):
                self._stderr.write(text + "\n")
                self._stderr.flush()


def _data(error: CallError) -> str:
    if error.data is None or error.data == error.message:
        return ""
    match error.data:
        # Near names that the message has.
        case {"suggestions": list(names), **rest} if not rest and all(str(name) in error.message for name in names):
            return ""
    from rpcshell.line.masking import mask_value

    return f" (data: {compact(mask_value(error.data))})"


def _with_column(place: str, text: str, error: SyntaxProblem) -> str:
    before = error.line[: error.column]
    row, column = before.count("\n"), len(before) - before.rfind("\n")
    where = f"line {row + 1}, column {column}" if "\n" in error.line else f"column {column}"
    if text and error.line != text:
        # It is in what the text led to: the line of an alias, or of another file.
        return f"{place}{': ' if place else ''}{where} of `{error.line}`"
    if not place:
        return where
    name, _, line = place.rpartition(":")
    return f"{name}:{int(line) + row}:{column}"
