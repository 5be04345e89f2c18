"""The user's pager: what it is, and giving it text."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from rpcshell.prompt.terminal import modes_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

__all__ = ["Pager", "find_pager"]

_LESS_OPTIONS: Final = "FRX"
_NO_PAGERS: Final = {"", "cat"}


@dataclass(frozen=True, slots=True)
class Pager:
    """A program that shows text by the page.

    Attributes:
        command: the program and its arguments.
        environment: what it finds in its environment.
        colours: whether it passes colours on to the terminal.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    colours: bool

    def show(self, write: Callable[[TextIO], None]) -> None:
        """Run the pager until it is left. Ctrl-C is the pager's meanwhile.

        Args:
            write: writes the text; it is stopped early if the pager is left early.

        Raises:
            OSError: the pager cannot be started.
        """
        # A pager that is killed cannot put the terminal's modes back.
        with modes_kept(), _interrupts_ignored():
            process = subprocess.Popen(self.command, stdin=subprocess.PIPE, env=self.environment)
            assert process.stdin is not None  # noqa: S101  (it was asked for)
            stream = io.TextIOWrapper(process.stdin, encoding="utf-8", errors="backslashreplace", newline="\n")
            try:
                with contextlib.suppress(BrokenPipeError), stream:
                    write(stream)
                process.wait()
            except BaseException:
                process.terminate()
                process.wait()
                raise


def find_pager() -> Pager | None:
    """The program in `$PAGER`, else less, else more; None where there is none or the user wants none.

    less gets the options git gives it where the user has set none: quit where one screen is enough, pass colours,
    and leave the text on the screen.
    """
    environment = dict(os.environ)
    command = _command(environment.get("PAGER"))
    if command is None:
        return None
    if PurePath(command[0]).name != "less":
        return Pager(command, environment, colours=False)
    options = environment.setdefault("LESS", _LESS_OPTIONS)
    flags = [options, *(word for word in command[1:] if word.startswith("-") and not word.startswith("--"))]
    colours = any(letter in words for letter in "Rr" for words in flags) or "--RAW-CONTROL-CHARS" in command
    return Pager(command, environment, colours)


def _command(named: str | None) -> tuple[str, ...] | None:
    if named is not None:
        try:
            words = tuple(shlex.split(named))
        except ValueError:
            words = (named,)
        if not words or words[0] in _NO_PAGERS:
            return None
        if shutil.which(words[0]):
            return words
    return next(((name,) for name in ("less", "more") if shutil.which(name)), None)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    # A handler that does nothing, where SIG_IGN would be inherited by the pager.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
