"""What proc(5) tells of a server's processes: who they are, and which has the server's end of a connection.

Nobody is asked, and nothing is disturbed. Elsewhere than on Linux nothing is known.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from sys import byteorder
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcshell.client.trace import Ends

__all__ = ["ServerEnd", "children_of", "find_server_end", "process_state"]

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_LOCAL, _REMOTE, _INODE = 1, 2, 9
"""Columns of a row: the addresses of the two ends, and the number of the socket, which is 0 before accept(2)."""


class ServerEnd(msgspec.Struct, frozen=True):
    """Where the server's end of a connection is: waiting to be accepted, or in a process of those asked about."""

    queued: bool
    pid: int | None = None


def find_server_end(ends: Ends, pids: Iterable[int]) -> ServerEnd | None:
    """Where the other end of a connection is, if in the listen queue or one of these processes.

    None where that cannot be told, as for Unix sockets, which proc(5) does not pair.
    """
    inode = _inode_of(ends)
    if inode is None:
        return None
    if inode == "0":
        return ServerEnd(queued=True)
    name = f"socket:[{inode}]"
    for pid in pids:
        # Some models have a process of their own for each connection.
        for process in (pid, *children_of(pid)):
            if _has(process, name):
                return ServerEnd(queued=False, pid=pid)
    return None


def process_state(pid: int) -> str:
    """The state of a process as proc(5) tells it, such as `S` or, where it is stopped, `T`; empty if it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def children_of(pid: int) -> list[int]:
    """The processes that a process has forked, as proc(5) tells them; none if it has gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except (OSError, ValueError):
        return []


def _inode_of(ends: Ends) -> str | None:
    """The number of the other end's socket."""
    ours, theirs = ends
    if not (isinstance(ours, tuple) and isinstance(theirs, tuple)):
        return None
    wanted = set(zip(_written(theirs), _written(ours), strict=True))
    for table in _TABLES:
        try:
            with Path(table).open(encoding="ascii") as rows:
                for row in rows:
                    columns = row.split()
                    if len(columns) > _INODE and (columns[_LOCAL], columns[_REMOTE]) in wanted:
                        return columns[_INODE]
        except OSError:
            continue
    return None


def _written(address: tuple[Any, ...]) -> list[str]:
    """An address as the tables write it: in the bytes' order of the machine, by words; an IPv4 one also mapped."""
    host, port = address[0], address[1]
    if ":" in host:
        packed = [socket.inet_pton(socket.AF_INET6, host.partition("%")[0])]
    else:
        four = socket.inet_pton(socket.AF_INET, host)
        packed = [four, b"\0" * 10 + b"\xff\xff" + four]
    return [f"{_words(bytes_)}:{port:04X}" for bytes_ in packed]


def _words(packed: bytes) -> str:
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, byteorder):08X}" for word in words)


def _has(pid: int, name: str) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(f"{folder}/{descriptor}") == name:  # noqa: PTH115 - it leads to no path
                return True
        except OSError:
            continue
    return False
