"""Whose the other end of a connection is, or the listener that took it, as far as Linux tells of this machine.

Nobody is asked, and nothing is disturbed. Elsewhere nothing is known, and of other users' processes little.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from sys import byteorder
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rpcshell.client.trace import Ends

ADAPTER: Final = "debugpy "
"""How the name begins of a program that serves one client at all."""

_CREDENTIALS: Final = struct.Struct("iII")
"""struct ucred: a process, its user and its group."""

_PEER_CREDENTIALS: Final[int | None] = getattr(socket, "SO_PEERCRED", None)

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_LOCAL, _REMOTE, _STATE, _INODE = 1, 2, 3, 9
"""Columns of a row: the addresses of the two ends, a state, and the number of the socket, 0 before accept(2)."""

_LISTENING: Final = "0A"
_NOBODY: Final = "0"

_UNIX_FLAGS, _UNIX_INODE, _UNIX_PATH = 3, 6, 7
"""Columns of a row of the table of Unix sockets."""
_ACCEPTING: Final = b"00010000"

_ANY: Final = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound to it
_SERVER: Final = "rpcserver"
_FIRST: Final = 4
"""The words of a command line that may say what is run."""

_ADAPTER: Final = b"debugpy/adapter"
"""The folder that Python runs as debugpy's, which listens where one was told to with `--listen`."""


def listening_process(sock: object) -> tuple[int, int] | None:
    """Which process, and which user's, listens at the other end of a Unix socket, where Linux tells.

    They are what they were as it called listen(2): unix(7), SO_PEERCRED.
    """
    if _PEER_CREDENTIALS is None or not isinstance(sock, socket.socket) or sock.family != socket.AF_UNIX:
        return None
    pid, user, _group = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, _PEER_CREDENTIALS, _CREDENTIALS.size))
    return pid, user


def listening_program(sock: object) -> str:
    """Who listens at the other end of a Unix socket: its name and its process, where Linux tells (proc(5))."""
    try:
        listening = listening_process(sock)
        return "" if listening is None else _program(listening[0])
    except OSError:
        return ""


def tcp_listening_program(sock: object) -> str:
    """Who listens at the other end of a connection of TCP to this machine, likewise.

    All processes are looked through for that, which takes milliseconds.
    """
    if not isinstance(sock, socket.socket):
        return ""
    try:
        ours, theirs = sock.getsockname(), sock.getpeername()
        # Otherwise it leads to another machine.
        return program_at(theirs[0], theirs[1]) if inode_of((ours, theirs)) is not None else ""
    except OSError:
        return ""


def program_at(host: str, port: int) -> str:
    """Who listens at an IP address of this machine, likewise; nobody connects to it."""
    try:
        listening = process_with(listening_inodes([host], port))
        return "" if listening is None else _program(listening)
    except OSError:
        return ""


def greets(program: str) -> bool:
    """Whether a program greets whoever connects, so that nothing should be said before.

    QEMU does, but for its agent, and debugpy, which takes nobody any more after that.
    """
    return program.startswith(("qemu-", ADAPTER)) and not program.startswith("qemu-ga ")


def process_with(inodes: set[str]) -> int | None:
    """The process with the lowest id that has one of these sockets open, as far as this user may know.

    All processes are looked through, which takes milliseconds.

    Raises:
        OSError: There is no proc(5).
    """
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()) if inodes else ()  # noqa: PTH208
    return next((pid for pid in pids if any(has_socket(pid, inode) for inode in inodes)), None)


def unix_listening_inodes(path: str) -> set[str]:
    """The numbers of the sockets that listen at a path; raises `OSError` where there is no proc(5)."""
    return {inode for inode, name in unix_listening_names().items() if name == os.fsencode(path)}


def unix_listening_names(pid: int | None = None) -> dict[str, bytes]:
    """The names of the sockets that listen where a process runs, or here, by their numbers, likewise."""
    return {row[_UNIX_INODE].decode(): row[_UNIX_PATH] for row in _unix_rows(pid) if row[_UNIX_FLAGS] == _ACCEPTING}


def listening_inodes(hosts: Iterable[str], port: int) -> set[str]:
    """The numbers of the sockets that listen at addresses of this machine, or at all of its addresses."""
    wanted = {written for host in (*hosts, *_ANY) for written in _written((host, port))}
    return {inode for address, inode in listeners_on(port) if address in wanted}


def listeners_on(port: int) -> list[tuple[str, str]]:
    """The sockets that listen on a port, at whatever address: that, as the tables write it, and their number."""
    end = f":{port:04X}"
    return [
        (row[_LOCAL], row[_INODE]) for row in _rows(port) if row[_STATE] == _LISTENING and row[_LOCAL].endswith(end)
    ]


def inode_of(ends: Ends) -> str | None:
    """The number of the other end's socket of a connection of TCP."""
    ours, theirs = ends
    if not (isinstance(ours, tuple) and isinstance(theirs, tuple)):
        return None
    wanted = set(zip(_written(theirs), _written(ours), strict=True))
    return next((row[_INODE] for row in _rows(theirs[1]) if (row[_LOCAL], row[_REMOTE]) in wanted), None)


def has_taken(ends: Ends | None) -> bool:
    """Whether the other end of a connection is known to have been accepted; of a Unix socket, whether each is."""
    if ends is None:
        return False
    name = ends[1]
    return inode_of(ends) not in {None, _NOBODY} if isinstance(name, tuple) else _has_taken_all(os.fsencode(name))


def _has_taken_all(name: bytes) -> bool:
    try:
        # An abstract name begins with an @ in the table.
        rows = [row for row in _unix_rows() if row[_UNIX_PATH] == name.replace(b"\0", b"@")]
    except OSError:
        return False
    # One that is not there may be another network namespace's.
    listens = any(row[_UNIX_FLAGS] == _ACCEPTING for row in rows)
    return listens and all(row[_UNIX_INODE] != _NOBODY.encode() for row in rows)


def has_socket(pid: int, inode: str) -> bool:
    """Whether a process has a socket open, as far as this user may know."""
    return inode in (sockets_of(pid) or ())


def sockets_of(pid: int) -> set[str] | None:
    """The numbers of the sockets that a process has open; None where this user may not know, or it has gone."""
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except OSError:
        return None
    found = set()
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            kind, _, inode = os.readlink(f"{folder}/{descriptor}").partition(":[")  # noqa: PTH115 - it leads to no path
            if kind == "socket":
                found.add(inode.removesuffix("]"))
    return found


def command_of(pid: int) -> list[bytes]:
    """The command line of a process; a fork has that of its parent. Raises `OSError` where it has gone."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - pathlib takes as long as the rest
        return file.read().split(b"\0")


def runs_rpcserver(command: list[bytes]) -> bool:
    """Whether a command line is one of `rpcserver`, as that of `python -m rpcserver` is."""
    return any(os.path.basename(word) == _SERVER.encode() for word in command[:_FIRST])  # noqa: PTH119


def _program(pid: int) -> str:
    """The name of a process and its id; `python -m rpcserver` counts as what it runs, as does debugpy's adapter."""
    command = command_of(pid)
    name = _SERVER if runs_rpcserver(command) else ""
    if any(word.endswith(_ADAPTER) for word in command[:_FIRST]):
        name = "debugpy"
    if not name:
        with open(f"/proc/{pid}/comm", errors="replace") as file:  # noqa: PTH123
            name = file.read().strip()
    return f"{name} (pid {pid})"


def _rows(port: int) -> Iterator[list[str]]:
    """The rows of the tables of sockets of TCP in which a port stands; there may be many others."""
    wanted = f":{port:04X} "
    for table in _TABLES:
        try:
            with open(table, encoding="ascii") as rows:  # noqa: PTH123
                yield from (columns for row in rows if wanted in row and len(columns := row.split()) > _INODE)
        except OSError:
            continue


def _unix_rows(pid: int | None = None) -> list[list[bytes]]:
    """The rows of the table of Unix sockets that have a name, where a process runs, or here."""
    table = f"/proc/{'self' if pid is None else pid}/net/unix"
    with open(table, "rb") as rows:  # noqa: PTH123 - pathlib takes as long as the rest
        found = [row.rstrip(b"\n").split(maxsplit=_UNIX_PATH) for row in rows]
    return [row for row in found if len(row) > _UNIX_PATH]


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
