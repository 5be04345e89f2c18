"""What the end of a session, or of its server, waits for, and what is done upon signals that end the process."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ShellError
from rpcshell.shell.elapsed import elapsed_text, told_while
from rpcshell.view.escape import visible
from rpcshell.view.units import count_of, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rpcshell.servers.spawn import SpawnedServer
    from rpcshell.shell.session import Session

_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)

_HURRY: Final = "Ctrl-C hurries it"

_LOOK: Final = 0.5
"""Seconds that a server which is being stopped has to tell what it still does."""


@contextmanager
def endings_handled(handle: Callable[[int, object], None]) -> Iterator[None]:
    """Have the signals that end a process handled otherwise, but for those that are ignored."""
    before = {number: signal.getsignal(number) for number in _ENDINGS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def told_while_leaving(session: Session, tell: Callable[[str], object]) -> AbstractContextManager[None]:
    """Tell what the end of a session, or of its server, waits for until it is there, where that takes its time."""
    return told_while(_leaving(session), tell)


def _leaving(session: Session) -> Callable[[], str]:
    """What the end of a session waits for: calls that its own server still answers, or whoever is on the other end."""
    server = session.server
    if server is None or server.kept or server.poll() is not None:
        return elapsed_text(f"waiting for {visible(session.name or 'the connection')} to end", _HURRY)
    return lambda: _still_runs(server)


def _still_runs(server: SpawnedServer) -> str:
    from rpcshell.servers.control import Control

    try:
        with Control(server.control or "", timeout=_LOOK) as control:
            status = control.status()
    except (ShellError, OSError):
        return f"waiting for the server to end · {_HURRY}"
    running = [worker.call for worker in status.workers if worker.call is not None]
    calls = [f"{call.method} for {whole_seconds(call.seconds)}" for call in running]
    if not calls:
        return f"waiting for {count_of(len(status.workers), 'worker')} to end · {_HURRY}"
    more = f" and {len(calls) - 1} more" if len(calls) > 1 else ""
    return f"waiting for {visible(calls[0])}{more} · {_HURRY}"
