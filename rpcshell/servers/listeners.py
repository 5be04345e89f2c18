"""Whether a server, or a process, listens at a target of this machine.

Servers say where they listen; of processes that say nothing, proc(5) tells.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING

from rpcshell.client.errors import UsageError
from rpcshell.client.socket_owners import listeners_on, listening_inodes, sockets_of, unix_listening_names
from rpcshell.client.target import ChildTarget, HttpTarget, Target, TcpTarget, TlsTarget, UnixTarget
from rpcshell.servers.processes import children_of, listener_at

if TYPE_CHECKING:
    from collections.abc import Set

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def listens_at(address: str, target: Target) -> bool:
    """Whether what listens at an address of this machine, or at all of them, is what a target leads to."""
    try:
        listener = Target.parse(address)
    except UsageError:
        return False
    if isinstance(listener, UnixTarget) and isinstance(target, UnixTarget):
        if listener.abstract or target.abstract:
            return listener.path == target.path
        return os.path.realpath(listener.name) == os.path.realpath(target.name)
    listening, wanted = _tcp(listener), _tcp(target)
    if listening is None or wanted is None or listening.port != wanted.port:
        return False
    there = _addresses(listening)
    if any(ip.is_unspecified for ip in there):
        return any(_is_local(ip) for ip in _addresses(wanted))
    return not there.isdisjoint(_addresses(wanted))


def process_listens_at(pid: int, target: Target) -> bool | None:
    """Whether a process listens at a target, itself or by one of its children; None where that cannot be told."""
    held = sockets_of(pid)
    if held is None:
        return None
    held = held.union(*(sockets_of(child) or () for child in children_of(pid)))
    if isinstance(target, UnixTarget):
        return _holds_unix(pid, held, target)
    address = _tcp(target)
    if address is None or held.isdisjoint(inode for _, inode in listeners_on(address.port)):
        # No name has to be looked up for that.
        return False
    here = [str(ip) for ip in _addresses(address) if _is_local(ip)]
    return bool(here) and not held.isdisjoint(listening_inodes(here, address.port))


def _holds_unix(pid: int, held: Set[str], target: UnixTarget) -> bool | None:
    try:
        names = {name for inode, name in unix_listening_names(pid).items() if inode in held}
    except OSError:
        return None
    if target.abstract:
        return os.fsencode(f"@{target.name[1:]}") in names
    # A socket is listed by the path that bind(2) was given, which may begin anywhere; it ends in the name of the file.
    if os.fsencode(os.path.basename(os.path.realpath(target.name))) not in map(os.path.basename, names):  # noqa: PTH119
        return False
    return listener_at(target.name) == pid or None


def is_on_this_machine(target: Target) -> bool:
    """Whether a target can only be here: a child, a Unix socket, or a host all of whose addresses are local."""
    if isinstance(target, ChildTarget | UnixTarget):
        return True
    where = _tcp(target.address if isinstance(target, HttpTarget) else target)
    found = set() if where is None else _addresses(where)
    return bool(found) and all(_is_local(ip) for ip in found)


def _tcp(target: Target) -> TcpTarget | None:
    address = target.address if isinstance(target, TlsTarget) else target
    return address if isinstance(address, TcpTarget) else None


def _addresses(target: TcpTarget) -> set[_Ip]:
    """The addresses that a target has in the network; none where its name cannot be found."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found}


def _is_local(ip: _Ip) -> bool:
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
