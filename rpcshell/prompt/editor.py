"""The user's editor: which one it is, and editing a text in it. What is done with the text is the caller's."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import UsageError
from rpcshell.prompt.terminal import modes_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["edit_text", "find_editor"]

_VARIABLES: Final = ("VISUAL", "EDITOR")
_USUAL: Final = ("sensible-editor", "editor", "nano", "vi")
_SUFFIX: Final = ".rpc"


def find_editor() -> tuple[str, ...]:
    """The program in `$VISUAL`, else in `$EDITOR`, else the first usual one that is there, with its arguments.

    Raises:
        UsageError: there is none, or a variable does not name a program.
    """
    for variable in _VARIABLES:
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
    found = next((name for name in _USUAL if shutil.which(name)), None)
    if found is None:
        raise UsageError("there is no editor", hint="put its name into $EDITOR")
    return (found,)


def edit_text(text: str) -> str:
    """Have the user edit a text, in a file that only they can read and that is gone afterwards.

    Args:
        text: what the editor begins with.

    Returns:
        What was saved, without newlines at its end; the same text where nothing was.

    Raises:
        UsageError: there is no editor, or it did not end well.
    """
    command = find_editor()
    file, name = tempfile.mkstemp(prefix="rpcshell.", suffix=_SUFFIX)  # mode 0600
    try:
        with os.fdopen(file, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text + "\n")
        with modes_kept(), _interrupts_ignored():
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
def _interrupts_ignored() -> Iterator[None]:
    """Leave Ctrl-C to the editor."""
    # A handler that does nothing, where SIG_IGN would be inherited by it.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
