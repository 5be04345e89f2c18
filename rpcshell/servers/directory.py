"""Which servers of this user run on this machine, and which of them listens at a target.

Each server has a control socket in the user's runtime folder, where rpcserver puts it; nothing else is asked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
import tempfile
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import CallTimeout, ShellError, UsageError
from rpcshell.client.target import ChildTarget, HttpTarget, Target, TcpTarget, TlsTarget, UnixTarget
from rpcshell.client.threads import thread_for
from rpcshell.servers.control import Control
from rpcshell.servers.processes import is_stopped, listener_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcwire.control import ServerStatus

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_STATUS_TIMEOUT: Final = 5.0
"""Seconds a server has to say what it is, on a machine that has much to do."""

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
    """A process of this user that listens at a control socket, and has not told in time what it is."""

    pid: int


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


def local_servers() -> list[LocalServer]:
    """The servers of this user that tell what they are, once each and by process id."""
    return sorted_servers(ask_local_servers())


def sorted_servers(told: Iterable[LocalServer | SilentServer]) -> list[LocalServer]:
    """Those that told what they are, by process id: of two at one address the first is always the same one."""
    found: dict[int, LocalServer] = {}
    for one in told:
        if isinstance(one, LocalServer):
            # Two paths may lead to one folder of control sockets.
            found.setdefault(one.status.pid, one)
    return [found[pid] for pid in sorted(found)]


def ask_local_servers(timeout: float = _STATUS_TIMEOUT) -> Iterator[LocalServer | SilentServer]:
    """The servers of this user, as each tells what it is, or has not for so many seconds; all are asked at once."""
    told: SimpleQueue[LocalServer | SilentServer | None] = SimpleQueue()
    asked = 0
    for folder in control_folders():
        for path in map(str, folder.glob("*.sock")):
            listener = listener_at(path)
            if listener is None or not is_stopped(listener):
                ask = partial(_ask, path, listener, timeout, told)
                if thread_for(ask, "servers") is None:
                    ask()
                asked += 1
    for _ in range(asked):
        if (found := told.get()) is not None:
            yield found


def _ask(path: str, listener: int | None, timeout: float, told: SimpleQueue[LocalServer | SilentServer | None]) -> None:
    found: LocalServer | SilentServer | None = None
    try:
        with Control(path, timeout=timeout) as control:
            found = LocalServer(path, control.status())
    except ShellError as error:
        # Others were left behind by servers that were killed, or are not this user's: none that could be steered.
        late = isinstance(error, CallTimeout) or isinstance(error.__cause__, BlockingIOError)
        found = SilentServer(listener) if late and listener is not None else None
    finally:
        told.put(found)


def servers_at(targets: Iterable[Target]) -> dict[Target, LocalServer]:
    """Which of these targets lead to servers of this user on this machine, and to which."""
    servers = local_servers()
    return {target: server for target in targets if (server := server_at(target, servers)) is not None}


def server_at(target: Target, servers: Iterable[LocalServer]) -> LocalServer | None:
    """The one of these servers that a target leads to."""
    return next((one for one in servers if any(listens_at(address, target) for address in one.addresses)), None)


def listens_at(address: str, target: Target) -> bool:
    """Whether what listens at an address of this machine, or at all of them, is what a target leads to."""
    try:
        listener = Target.parse(address)
    except UsageError:
        return False
    if isinstance(listener, UnixTarget) and isinstance(target, UnixTarget):
        may_be_same = listener.path == target.path or not (listener.abstract or target.abstract)
        return may_be_same and os.path.realpath(listener.path) == os.path.realpath(target.path)
    listening, wanted = _tcp(listener), _tcp(target)
    if listening is None or wanted is None or listening.port != wanted.port:
        return False
    there = _addresses(listening)
    if any(ip.is_unspecified for ip in there):
        return any(_is_local(ip) for ip in _addresses(wanted))
    return not there.isdisjoint(_addresses(wanted))


def is_on_this_machine(target: Target) -> bool:
    """Whether a target can only be here: a child, a Unix socket, or a host all of whose addresses are local."""
    if isinstance(target, ChildTarget | UnixTarget):
        return True
    found = ips_of(target)
    return bool(found) and all(_is_local(ip) for ip in found)


def ips_of(target: Target) -> set[Ip]:
    """The addresses that a target has in the network; none where it is a path, or its name cannot be found."""
    where = _tcp(target.address if isinstance(target, HttpTarget) else target)
    return set() if where is None else _addresses(where)


def _tcp(target: Target) -> TcpTarget | None:
    address = target.address if isinstance(target, TlsTarget) else target
    return address if isinstance(address, TcpTarget) else None


def _addresses(target: TcpTarget) -> set[Ip]:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found}


def _is_local(ip: Ip) -> bool:
    """Whether an address is one of this machine's: only those can be bound (bind(2), EADDRNOTAVAIL)."""
    if ip.is_loopback:
        return True
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError:
        return False
    return True
