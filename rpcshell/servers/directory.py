"""Which servers of this user run on this machine, and which of them listens at a target.

Each server has a control socket in the user's runtime folder, where rpcserver puts it; nothing else is asked.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from functools import cache, partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from rpcshell.client.errors import CallTimeout, ShellError, UsageError
from rpcshell.client.target import Target
from rpcshell.client.threads import thread_for
from rpcshell.servers.control import Control
from rpcshell.servers.listeners import listens_at, process_listens_at
from rpcshell.servers.processes import is_stopped, listener_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from rpcwire.control import ServerStatus

_K = TypeVar("_K")

_STATUS_TIMEOUT: Final = 5.0
"""Seconds a server has to say what it is, on a machine that has much to do."""

_MOMENT: Final = 0.1
"""Seconds in which servers tell that have nothing else to do; who is silent for longer is waited for where need be."""

_FOR_OTHERS: Final = 0o077
"""The bits of a mode that let others in."""


class LocalServer(msgspec.Struct, frozen=True):
    """A server of this user on this machine, with the path of its control socket."""

    path: str
    status: ServerStatus

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, as `as_targets` has it."""
        return as_targets(listener.address for listener in self.status.listeners)


class SilentServer(msgspec.Struct, frozen=True):
    """A process of this user that listens at a control socket, and tells nothing: in time, or as it is stopped."""

    pid: int
    stopped: bool = False


def as_targets(addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses of a server's listeners as targets are written, those of the native protocol first."""
    found = []
    for address in addresses:
        try:
            target = Target.parse(address)
        except UsageError:
            # A newer server may know a kind of address that this side does not.
            found.append((True, address))
        else:
            found.append((bool(target.dialect), str(target)))
    return tuple(written for _, written in sorted(found, key=lambda one: one[0]))


def control_folders() -> Iterator[Path]:
    """Where rpcserver puts the control sockets of this user's servers: those folders that are this user's alone.

    In others anybody could put something that passes for a server.
    """
    user = os.geteuid()
    runtime_folders = filter(None, (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}"))
    candidates = [Path(folder) / "rpcserver" for folder in runtime_folders]
    # Without a folder for temporary files there are no servers in it.
    with contextlib.suppress(FileNotFoundError):
        candidates.append(Path(tempfile.gettempdir()) / f"rpcserver-{user}")
    # Servers use it where the other paths are too long for a socket.
    candidates.append(Path("/tmp", f"rpcserver-{user}"))  # noqa: S108 - whose it is is looked at
    for folder in dict.fromkeys(candidates):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & _FOR_OTHERS:
                yield folder


def sorted_servers(told: Iterable[LocalServer | SilentServer]) -> list[LocalServer]:
    """Those that told what they are, once each and by process id."""
    found: dict[int, LocalServer] = {}
    for one in told:
        if isinstance(one, LocalServer):
            # Two paths may lead to one folder of control sockets.
            found.setdefault(one.status.pid, one)
    return [found[pid] for pid in sorted(found)]


def ask_local_servers(timeout: float) -> Iterator[LocalServer | SilentServer]:
    """The servers of this user, as each tells what it is, or has not for so many seconds; all are asked at once."""
    inquiry = _Inquiry(timeout)
    yield from inquiry.stopped.values()
    while inquiry.waiting:
        _, found = inquiry.hear()
        if found is not None:
            yield found


def servers_at(targets: Iterable[Target], timeout: float | None = None) -> dict[Target, LocalServer | SilentServer]:
    """Which of these targets lead to servers of this user on this machine, and to which; those that are silent too.

    Of two at one address it is always the same, the first by process id. One that is silent is waited for only where it
    may be meant: where it listens at such a target, or that cannot be told and nobody else does; `timeout` seconds, or
    as long as a server needs on a machine that has much to do.
    """
    return _find(
        tuple(dict.fromkeys(targets)),
        lambda server, target: any(listens_at(address, target) for address in server.addresses),
        lambda _path, pid, target: process_listens_at(pid, target),
        _STATUS_TIMEOUT if timeout is None else timeout,
    )


def server_of(pid: int) -> LocalServer | SilentServer | None:
    """The server of this user whose arbiter has this process id, or that listens and is silent; others hold up none."""
    found = _find(
        (pid,),
        lambda server, wanted: server.status.pid == wanted,
        # The name tells what a process is called where it runs, in a container.
        lambda path, listener, wanted: listener == wanted or Path(path).stem == str(wanted),
        _STATUS_TIMEOUT,
    )
    return found.get(pid)


class _Inquiry:
    """Servers that were all asked at once what they are; those that are stopped were not, and have no say."""

    def __init__(self, timeout: float) -> None:
        self.waiting: dict[str, int | None] = {}
        """Who listens at the paths from which nothing has come, as far as it is known."""
        self.stopped: dict[str, SilentServer] = {}
        self._told: SimpleQueue[tuple[str, LocalServer | SilentServer | None]] = SimpleQueue()
        for folder in control_folders():
            for path in map(str, folder.glob("*.sock")):
                listener = listener_at(path)
                if listener is not None and is_stopped(listener):
                    self.stopped[path] = SilentServer(listener, stopped=True)
                    continue
                self.waiting[path] = listener
                ask = partial(self._ask, path, listener, timeout)
                if thread_for(ask, "servers") is None:
                    ask()

    def hear(self, seconds: float | None = None) -> tuple[str, LocalServer | SilentServer | None]:
        """What the next one tells, at which path; raises `Empty` where nobody does in so many seconds."""
        path, found = self._told.get(timeout=seconds)
        self.waiting.pop(path, None)
        return path, found

    def _ask(self, path: str, listener: int | None, timeout: float) -> None:
        found: LocalServer | SilentServer | None = None
        try:
            with Control(path, timeout=timeout) as control:
                found = LocalServer(control.path, control.status())
        except ShellError as error:
            # Others were left behind by servers that were killed, or are not this user's: none that could be steered.
            late = isinstance(error, CallTimeout) or isinstance(error.__cause__, BlockingIOError)
            found = SilentServer(listener) if late and listener is not None else None
        finally:
            self._told.put((path, found))


def _find(
    wanted: Collection[_K],
    is_it: Callable[[LocalServer, _K], bool],
    may_be_it: Callable[[str, int, _K], bool | None],
    timeout: float,
) -> dict[_K, LocalServer | SilentServer]:
    """The server of each that is wanted: `is_it` knows it by what it tells, `may_be_it` where it is silent.

    Of that one there are a path and a process to go by; None says that they do not tell.
    """
    inquiry = _Inquiry(timeout)
    found: dict[_K, LocalServer] = {}
    silent = dict(inquiry.stopped)
    look = cache(may_be_it)

    def is_waited_for(path: str, listener: int | None) -> bool:
        verdicts = ((None if listener is None else look(path, listener, key), key) for key in wanted)
        return any(verdict or (verdict is None and key not in found) for verdict, key in verdicts)

    while inquiry.waiting:
        try:
            path, one = inquiry.hear(_MOMENT)
        except Empty:
            inquiry.waiting = {path: pid for path, pid in inquiry.waiting.items() if is_waited_for(path, pid)}
            continue
        if isinstance(one, SilentServer):
            silent[path] = one
        elif one is not None:
            for key in wanted:
                if is_it(one, key) and (key not in found or one.status.pid < found[key].status.pid):
                    found[key] = one
    mute = {key: one for key in wanted for path, one in silent.items() if look(path, one.pid, key)}
    known: dict[_K, LocalServer | SilentServer] = {**mute, **found}
    return {key: known[key] for key in wanted if key in known}
