"""Which server a shell may steer: the one it spawned, one it was attached to, or whichever local one it talks to.

Before harm is done to one that was not started here, somebody is asked.
"""

from __future__ import annotations

import os
import sys
import termios
import tty
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import Cancelled, NotConnected, ShellError, UsageError
from rpcshell.client.target import FleetTarget, Target, UnixTarget
from rpcshell.servers.control import Control
from rpcshell.servers.directory import LocalServer, SilentServer, control_folders, server_of, servers_at
from rpcshell.servers.listeners import listens_at
from rpcshell.servers.processes import is_stopped
from rpcshell.servers.silence import refusal
from rpcshell.view.escape import visible
from rpcwire.socket_names import meant_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.session import Session
    from rpcwire.control import ServerStatus

_LAST_PORT: Final = 65535


class Supervisor:
    """Finds the control socket of the server that a session talks to. One for each shell."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Target, str] = {}
        self._seen: dict[str, ServerStatus] = {}

    def path(self, instance: Target | None = None, *, timeout: float | None = None) -> str:
        """The path of the control socket of the server that calls go to, or of an instance of the fleet.

        One that is silent is waited for as long as `servers_at` does.

        Raises:
            NotConnected: There is no target.
            UsageError: The server is not this user's on this machine, stands still, or has no control socket; or it is
                a fleet, and no instance was named.
        """
        target = instance or self._session.target
        if target is None:
            raise NotConnected
        if isinstance(target, FleetTarget):
            several = f"{target} is several servers, and this is done to one"
            raise UsageError(several, hint=":servers lists them, :connect joins one")
        server = self._session.spawned_at(target)
        if server is not None and server.poll() is None and server.control:
            if is_stopped(server.pid):
                raise refusal(target, SilentServer(server.pid, stopped=True))
            return server.control
        known = self._known.get(target)
        if known is not None and self._answers(known, target):
            return known
        if (local := _heard(target, servers_at([target], timeout).get(target))) is not None:
            self._known[target] = local.path
            return local.path
        foreign = f"{target} is no server of yours on this machine: only those can be watched and steered"
        raise UsageError(foreign, hint=":servers lists them, :spawn starts one")

    def arbiter(self, instance: Target | None = None) -> int | None:
        """The process id of the server, where it was spawned here."""
        server = self._session.spawned_at(instance or self._session.target)
        return None if server is None else server.pid

    def control(self, instance: Target | None = None, *, timeout: float = 5.0, search: float | None = None) -> Control:
        """A new connection to that control socket, with so many seconds for a call; raises what `path` does.

        Within `search` seconds it has to be found, or as many as `path` takes.
        """
        path = self.path(instance, timeout=search)
        return Control(path, timeout=timeout, on_status=lambda status: self._seen.update({path: status}))

    def native_target(self, what: str) -> Target:
        """Where that server speaks the native protocol, for what is done in it: here, or at another of its addresses.

        Raises what `path` does; where the server speaks it nowhere, a `UsageError` that begins with `what`.
        """
        path = self.path()
        if (target := self._session.target) is None:
            raise NotConnected
        if not target.dialect:
            return target
        with self.control() as control:
            addresses = LocalServer(path, control.status()).addresses
        native = Target.parse(addresses[0]) if addresses else target
        if native.dialect:
            other = f"{what} takes a server that speaks rpcshell's own protocol, and {target} speaks {target.dialect}"
            raise UsageError(other, hint="have it listen at an address without a framing as well")
        return native

    def require_consent(self, what: str, *, given: bool, ask: Callable[[str], None] | None) -> None:
        """Go on only where the server was spawned by this shell, consent was given with `--yes`, or somebody says yes.

        What is about to be done to it is said in words that follow "this would"; `ask` shows the question.

        Raises:
            NotConnected, UsageError: As of `path`; a UsageError also where nobody can be asked.
            Cancelled: The answer was no.
        """
        path = self.path()
        spawned = self._session.server
        if given or (spawned is not None and spawned.control == path and spawned.poll() is None):
            return
        require_yes(f"{self._session.target} was not started by this shell", what, ask=ask)

    def workers(self) -> list[tuple[str, str]]:
        """The workers' numbers, as they were last seen, with a word on each; the server is not asked."""
        target = self._session.target
        server = self._session.spawned_at(target)
        if server is not None and server.poll() is None:
            path, count = server.control, server.workers
        else:
            path, count = None if target is None else self._known.get(target), 0
        if path is not None and (status := self._seen.get(path)) is not None:
            return [(str(worker.worker), f"pid {worker.pid}") for worker in status.workers]
        return [(str(number), "") for number in range(1, count + 1)]

    def names_server(self, text: str) -> bool:
        """Whether a text is the process id, and no port, or the path of the control socket of a server of this user."""
        if text.isdecimal():
            return int(text) > _LAST_PORT or any(
                (folder / f"{int(text)}.sock").exists() for folder in control_folders()
            )
        return text.startswith("/") and Path(meant_name(text)).parent in control_folders()

    def attach(self, text: str) -> LocalServer:
        """Join a server of this machine: calls go to it from now on, and it can be watched and steered.

        It is named by its arbiter's process id, an address, or the path of its control socket.

        Raises:
            UsageError: There is no such server, it stands still, or it listens nowhere.
            ShellError: As of `Session.connect`.
        """
        found = self._find(text)
        if not found.addresses:
            raise UsageError(f"the server {found.status.pid} listens nowhere, so no call can go to it")
        target = Target.parse(found.addresses[0])
        self._session.connect(target)
        self._known[target] = found.path
        self._seen[found.path] = found.status
        return found

    def _find(self, text: str) -> LocalServer:
        if text.isdecimal() and (found := _heard("the server", server_of(int(text)))) is not None:
            return found
        # What is too large for a port was meant for a process id.
        if not text.isdecimal() or int(text) <= _LAST_PORT:
            wanted = Target.parse(text, self._session.book.dialects)
            if (found := _heard(wanted, servers_at([wanted]).get(wanted))) is not None:
                return found
            if "/" in text and isinstance(wanted, UnixTarget):
                with Control(wanted.path) as control:
                    return LocalServer(wanted.path, control.status())
        raise UsageError(f"no server of yours on this machine is {text!r}", hint=":servers lists them")

    def _answers(self, path: str, target: Target) -> bool:
        """Whether the server that was found at a control socket before is still there."""
        try:
            with Control(path, timeout=1.0) as control:
                status = control.status()
        except ShellError:
            return False
        return any(listens_at(listener.address, target) for listener in status.listeners)


def _heard(name: object, found: LocalServer | SilentServer | None) -> LocalServer | None:
    """A server that was found and tells what it is; raises `UsageError` for one that does not."""
    if isinstance(found, SilentServer):
        raise refusal(name, found)
    return found


def require_yes(why: str, what: str, *, ask: Callable[[str], None] | None) -> None:
    """Go on only where somebody says yes to what surprises.

    What is about to be done is said in words that follow "this would"; `ask` shows the question.

    Raises:
        UsageError: Nobody can be asked.
        Cancelled: The answer was no.
    """
    if ask is None or not sys.stdin.isatty():
        raise UsageError(f"{why}, and this would {what}", hint="add --yes if that is what you want")
    if not _says_yes(partial(ask, visible(f"{why}.\n{what[0].upper()}{what[1:]}? [y/n]", newlines=True))):
        raise Cancelled("cancelled: nothing was done")


def _says_yes(ask: Callable[[], None]) -> bool:
    """Ask, and wait for a key; keys that were pressed before the question do not count."""
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
