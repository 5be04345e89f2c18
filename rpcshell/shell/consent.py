"""Asking before harm is done to a server that was not started here. Not a command itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rpcshell.client.errors import Cancelled, UsageError
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.shell import Shell

__all__ = ["require_consent"]


def require_consent(shell: Shell, what: str, *, given: bool) -> None:
    """Go on only where the server was spawned by this shell, or somebody has said yes.

    Args:
        shell: Talks to the server.
        what: What is about to be done, in words that follow "this would".
        given: Whether the consent was given already, with `--yes`.

    Raises:
        NotConnected: There is no server.
        UsageError: The server is not this user's on this machine, or nobody can be asked.
        Cancelled: The answer was no.
    """
    path = shell.supervisor.path()
    spawned = shell.session.server
    if given or (spawned is not None and spawned.control == path and spawned.poll() is None):
        return
    stranger = f"{shell.session.target} was not started by this shell"
    if not shell.interactive or not sys.stdin.isatty():
        raise UsageError(f"{stranger}, and this would {what}", hint="add --yes if that is what you want")
    question = visible(f"{stranger}.\n{what[0].upper()}{what[1:]}? [y/n]", newlines=True)
    if not _says_yes(lambda: shell.output.text(question)):
        raise Cancelled("cancelled: nothing was done")


def _says_yes(ask: Callable[[], None]) -> bool:
    """Ask, and wait for a key; those that were pressed before the question are no answers to it."""
    import os
    import termios
    import tty

    terminal = sys.stdin.fileno()
    modes = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSAFLUSH)
        ask()
        return os.read(terminal, 1) in {b"y", b"Y"}
    except KeyboardInterrupt:
        return False
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
