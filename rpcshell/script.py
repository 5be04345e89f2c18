"""Runs without a prompt: lines from the command line, a file or a pipe, with plain streams for their output.

One compact line of JSON per result on stdout, one line per error on stderr, and an exit code. What a line does is the
executor's business.
"""

from __future__ import annotations

import codecs
import contextlib
import sys
from typing import IO, TYPE_CHECKING

import msgspec

from rpcshell.errors import CallError, Cancelled, ShellError, SpawnFailed, SyntaxProblem, UsageError
from rpcshell.escape import visible, visible_json
from rpcshell.executor import Leave
from rpcshell.language import Assembler
from rpcwire import encode_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.executor import Shell
    from rpcshell.session import CallOutcome

__all__ = [
    "OutputClosed",
    "ScriptOutput",
    "Statement",
    "compact",
    "process_output",
    "read_statements",
    "run_statements",
]


def compact(value: object) -> str:
    r"""JSON on one line that is safe on a terminal: readable text as it is, controls as \uXXXX.

    Args:
        value: What a reply brought.
    """
    return visible_json(encode_value(value).decode())


def process_output() -> ScriptOutput:
    """The output of this process's own streams."""
    # Python sets a stream to None where the process was started with it closed; typeshed does not know.
    stdout: IO[str] | None = sys.stdout
    return ScriptOutput(None if stdout is None else sys.stdout.buffer, sys.stderr)


class OutputClosed(Exception):
    """Whoever read stdout has closed it: there is nobody left to answer to."""


class ScriptOutput:
    """Plain streams: results and texts to stdout, notes and errors to stderr.

    Args:
        stdout: Takes results, as bytes, since they are UTF-8 whatever the locale says; None where it is closed.
        stderr: Takes notes and errors; None where it is closed.
    """

    def __init__(self, stdout: IO[bytes] | None, stderr: IO[str] | None) -> None:
        self._stdout = stdout
        self._stderr = stderr

    def result(self, outcome: CallOutcome) -> None:
        """Write the result as one line of JSON."""
        self.text(compact(outcome.reply.result))

    def text(self, text: str) -> None:
        """Write a command's text."""
        if self._stdout is None:
            return
        try:
            self._stdout.write(text.encode("utf-8", "backslashreplace") + b"\n")
            self._stdout.flush()
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as error:
            raise UsageError(f"the output cannot be written: {error.strerror}") from error

    def note(self, text: str) -> None:
        """Write one line of information to stderr."""
        self._complain(_one_line(text))

    def error(self, error: ShellError, place: str = "") -> None:
        """Write an error as one line; the traceback of a failed application follows as it is.

        Args:
            error: What to write.
            place: Where in a script, as `file:line`.
        """
        if isinstance(error, SyntaxProblem):
            place = _with_column(place, error)
        what = f"{error.method}: {error}{_data(error)}" if isinstance(error, CallError) else str(error)
        self._complain("rpcshell: " + _one_line(f"{place}: {what}" if place else what))
        if isinstance(error, SpawnFailed) and error.traceback:
            self._complain(visible(error.traceback.rstrip("\n"), newlines=True))

    def _complain(self, text: str) -> None:
        # Nobody may be reading it, which is no reason to stop.
        if self._stderr is not None:
            with contextlib.suppress(OSError):
                self._stderr.write(text + "\n")
                self._stderr.flush()


def _one_line(text: str) -> str:
    return visible(text)


def _data(error: CallError) -> str:
    return "" if error.data is None else f" (data: {compact(error.data)})"


def _with_column(place: str, error: SyntaxProblem) -> str:
    before = error.line[: error.column]
    column = len(before) - before.rfind("\n")
    if not place:
        return f"column {column}"
    name, _, line = place.rpartition(":")
    return f"{name}:{int(line) + before.count(chr(10))}:{column}"


class Statement(msgspec.Struct, frozen=True):
    """One call or command of a script.

    Attributes:
        text: One line, or several where brackets are open across them.
        place: Where it begins, as `file:line`; empty for a line of the command line.
    """

    text: str
    place: str = ""


def read_statements(lines: Iterable[bytes], name: str) -> Iterator[Statement]:
    """Cut a script into statements, as its lines arrive. Blank lines and comments are left out.

    Args:
        lines: The lines of a file or a pipe, UTF-8.
        name: What to call it in messages.

    Raises:
        UsageError: A line is not UTF-8.
    """
    assembler = Assembler()
    began: int | None = None
    for number, raw in enumerate(lines, 1):
        line = _decoded(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, f"{name}:{number}")
        if began is None:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            began = number
        text = assembler.feed(line)
        if text is not None:
            yield Statement(text, f"{name}:{began}")
            began = None
    unfinished = assembler.end()
    if unfinished is not None:
        yield Statement(unfinished, f"{name}:{began}")


def _decoded(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{place}: byte {error.start + 1} of this line is not UTF-8") from None


def run_statements(shell: Shell, output: ScriptOutput, statements: Iterable[Statement], *, keep_going: bool) -> int:
    """Run statements one after the other and return the exit code.

    Args:
        shell: Runs them.
        output: Takes errors; the shell's own output.
        statements: What to run.
        keep_going: Whether to go on after an error.

    Returns:
        0, or the exit code of the first error.

    Raises:
        OutputClosed: Nobody reads stdout any more.
        UsageError: The script cannot be read.
    """
    code = 0
    for statement in statements:
        try:
            shell.execute(statement.text)
        except Leave:
            break
        except ShellError as error:
            output.error(error, statement.place)
            code = code or error.exit_code
            if not keep_going or isinstance(error, Cancelled):
                break
    return code
