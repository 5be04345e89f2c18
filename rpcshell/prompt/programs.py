"""Programs that have the terminal while they run, the user's pager and editor, and the terminal's modes meanwhile."""

import contextlib
import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Final, NamedTuple, TextIO

from rpcshell.client.errors import UsageError
from rpcshell.shell.terminal import interrupts_left_to_a_program

_LESS_OPTIONS: Final = "FRX"
_NO_PAGERS: Final = {"", "cat"}
_EDITOR_VARIABLES: Final = ("VISUAL", "EDITOR")
_USUAL_EDITORS: Final = ("sensible-editor", "editor", "nano", "vi")
_SUFFIX: Final = ".rpc"


class Pager(NamedTuple):
    """A program that shows text by the page."""

    command: tuple[str, ...]
    environment: dict[str, str]
    colours: bool

    def show(self, write: Callable[[TextIO], None]) -> None:
        """Run the pager until it is left, which may stop `write` early; raises `OSError` where it cannot be started."""
        # A pager that is killed cannot put the terminal's modes back.
        with _modes_kept(), interrupts_left_to_a_program():
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
    environment = {"LESSCHARSET": "utf-8", **os.environ}  # what it gets, whatever the locale says
    command = _pager_command(environment.get("PAGER"))
    if command is None:
        return None
    if PurePath(command[0]).name != "less":
        return Pager(command, environment, colours=False)
    options = environment.setdefault("LESS", _LESS_OPTIONS)
    flags = [options, *(word for word in command[1:] if word.startswith("-") and not word.startswith("--"))]
    colours = any(letter in words for letter in "Rr" for words in flags) or "--RAW-CONTROL-CHARS" in command
    return Pager(command, environment, colours)


def _pager_command(named: str | None) -> tuple[str, ...] | None:
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


def find_editor() -> tuple[str, ...]:
    """The program in `$VISUAL`, else in `$EDITOR`, else the first usual one that is there, with its arguments.

    Raises `UsageError` where there is none, or a variable does not name a program.
    """
    for variable in _EDITOR_VARIABLES:
        named = os.environ.get(variable, "").strip()
        if not named:
            continue
        try:
            words = tuple(shlex.split(named))
        except ValueError as error:
            raise UsageError(f"${variable} is {named!r}: {str(error).lower()}") from None
        if shutil.which(words[0]) is None:
            raise UsageError(f"${variable} names {words[0]!r}, which is no program here")
        return words
    found = next((name for name in _USUAL_EDITORS if shutil.which(name)), None)
    if found is None:
        raise UsageError("there is no editor", hint="put its name into $EDITOR")
    return (found,)


def edit_text(text: str) -> str:
    """Have the user edit a text, in a file that only they can read and that is gone afterwards.

    Returned is what was saved, without newlines at its end. Raises `UsageError` where there is no editor, or it did not
    end well.
    """
    command = find_editor()
    try:
        file, name = tempfile.mkstemp(prefix="rpcshell.", suffix=_SUFFIX)  # mode 0600
    except OSError as error:
        raise UsageError(f"there is no place for a file to edit: {error.strerror}", hint="set TMPDIR") from error
    try:
        with os.fdopen(file, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text + "\n")
        with _modes_kept(), interrupts_left_to_a_program():
            code = subprocess.run([*command, name], check=False).returncode
        if code:
            raise UsageError(f"{command[0]} ended with exit code {code}, so the line stays as it was")
        return Path(name).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be used: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError("what was saved is not UTF-8, so the line stays as it was") from None
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _modes_kept() -> Iterator[None]:
    """Put the modes back at the end, whatever was done to them; nothing without a terminal."""
    try:
        modes = termios.tcgetattr(sys.stdin.fileno())
    except (OSError, ValueError, termios.error):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError, termios.error):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, modes)


@contextlib.contextmanager
def keys_kept() -> Iterator[None]:
    """Keep keys that are pressed between two prompts, unseen, for the next one; those that make signals still do."""
    with _modes_kept():
        with contextlib.suppress(OSError, ValueError, termios.error):
            terminal = sys.stdin.fileno()
            input_modes, output_modes, control_modes, local_modes, *rest = termios.tcgetattr(terminal)
            local_modes &= ~(termios.ECHO | termios.ICANON)
            modes = [input_modes, output_modes, control_modes, local_modes, *rest]
            termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
        yield
