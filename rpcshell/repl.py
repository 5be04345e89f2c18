"""The loop of the prompt: read a line, run it, show what went wrong, until it is left.

What a line does is the executor's business, what is on the screen `rpcshell.prompt`'s.
"""

from __future__ import annotations

import errno
import gc
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rpcshell import __version__
from rpcshell.errors import ShellError
from rpcshell.executor import Leave, Shell, load_commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.prompt.session import Prompt
    from rpcshell.session import Session
    from rpcshell.spawn import SpawnedServer, SpawnOptions
    from rpcshell.target import Target

__all__ = ["Terminated", "run_repl"]

_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)

_TERMINAL_GONE: Final = (errno.EIO, errno.ENXIO, errno.EPIPE, errno.EBADF)
"""What reading or writing fails with once the terminal has been closed; nobody is there to be told."""


class Terminated(BaseException):
    """The shell was told to end; not an error, so nothing that handles errors should catch it.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_repl(
    session: Session, *, target: Target | None = None, spawn: SpawnOptions | None = None, prompt: Prompt | None = None
) -> int:
    """Run the shell at a terminal until it is left.

    Args:
        session: a session without a target; it is closed at the end.
        target: what to connect to at first.
        spawn: how to start a server at first.
        prompt: where lines come from; the terminal if not given.

    Returns:
        The exit code: 0, or 128 and the number of the signal that ended the shell.
    """
    if prompt is None:
        # Nothing that is imported for the prompt is garbage; looking for some takes a tenth of the time to it.
        gc.disable()
        from rpcshell.prompt.session import Prompt

        prompt = Prompt(session, lambda: shell.commands, on_ready=_collect_again)
    from rpcshell.prompt.terminal import keys_kept

    screen = prompt.screen
    shell = Shell(session, screen, load_commands, interactive=True)
    session.notes = screen.note
    try:
        with keys_kept(), _endings_raised(prompt):
            _begin(shell, target, spawn)
            _loop(shell, prompt)
            _close(shell)
    except Terminated as end:
        _close_at_once(session, session.server)
        return 128 + end.number
    except OSError as error:
        _close_at_once(session, session.server)
        if error.errno not in _TERMINAL_GONE:
            raise
        return 128 + signal.SIGHUP
    return 0


def _collect_again() -> None:
    gc.freeze()
    gc.enable()


def _begin(shell: Shell, target: Target | None, spawn: SpawnOptions | None) -> None:
    """Say what to type first, and get to the server that was asked for; without it the prompt comes all the same."""
    about = f"rpcshell {__version__}"
    if target is None and spawn is None:
        shell.output.note(f"{about} · :spawn 10 starts a server, :connect HOST:PORT joins one, :help")
        return
    shell.output.note(f"{about} · Tab completes, :methods lists, :help says more")
    try:
        if spawn is not None:
            from rpcshell.commands.server import start_server

            start_server(shell, spawn)
        elif target is not None:
            shell.session.connect(target)
    except ShellError as error:
        shell.output.error(error)


def _loop(shell: Shell, prompt: Prompt) -> None:
    going = True
    while going:
        try:
            going = _step(shell, prompt)
        except KeyboardInterrupt:
            # At the prompt the line is gone; anywhere else there was nothing to cancel.
            continue


def _step(shell: Shell, prompt: Prompt) -> bool:
    """Read and run one line; false if it was the last."""
    try:
        text = prompt.read()
    except EOFError:
        return False
    try:
        if text.strip():
            _run(shell, text)
    except Leave:
        return False
    except KeyboardInterrupt:
        # What was being shown ends where it is.
        shell.output.text("")
    return True


def _run(shell: Shell, text: str) -> None:
    """Run what was typed or pasted; of several lines those before the first error."""
    from rpcshell.language import parse, statements

    number = 0
    parts: tuple[str, ...] = ()
    try:
        parts = statements(parse(text), lambda name: shell.session.method(name) is not None)
        for number, part in enumerate(parts, 1):  # noqa: B007  (read when one fails)
            shell.execute(part)
    except ShellError as error:
        shell.output.error(error)
        if number < len(parts):
            shell.output.note(f"what came after line {number} was not run")


def _close(shell: Shell) -> None:
    server = shell.session.server
    _tell_no_more(shell.session)
    try:
        if server is not None and server.poll() is None:
            if server.kept:
                shell.output.note(f"the server goes on at {', '.join(server.addresses)}, pid {server.pid}")
            else:
                shell.output.note("stopping the server; Ctrl-C hurries it")
        shell.session.close()
    except KeyboardInterrupt:
        _close_at_once(shell.session, server)


def _close_at_once(session: Session, server: SpawnedServer | None) -> None:
    """Close the session when nobody is there to wait for it: a server ends without finishing what it does."""
    _tell_no_more(session)
    session.server = None
    if server is not None and not server.kept:
        server.stop(drain=0)
    session.close()


def _tell_no_more(session: Session) -> None:
    # A thread that writes to a stream while Python is shutting down ends it with an abort.
    session.notes = lambda _text: None


@contextmanager
def _endings_raised(prompt: Prompt) -> Iterator[None]:
    """Make `Terminated` of the signals that end a process, so that the terminal and the server are left in order."""

    def end(number: int, _frame: object) -> None:
        error = Terminated(number)
        if not prompt.interrupt(error):
            raise error

    before = {number: signal.getsignal(number) for number in _ENDINGS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
