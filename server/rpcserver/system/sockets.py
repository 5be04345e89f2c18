"""Listening sockets: what `--bind` means, opening, withdrawing and closing them, and how addresses are written.

Accepting connections is the business of `rpcserver.workers.acceptor`; talking on them, of the worker models.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcserver.system.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h; Python's socket module does not name it
_UNIX_PATH_MAX: Final = 107  # unix(7): sun_path has 108 bytes, its closing zero included
_LONGEST_QUEUE: Final = Path("/proc/sys/net/core/somaxconn")
_PEER_CREDENTIALS: Final = struct.Struct("3i")  # unix(7), SO_PEERCRED: pid, uid, gid


class BindError(ServerError):
    """An address cannot be listened on.

    Attributes:
        address: the address as it was asked for.
        reason: why not, and what to do about it.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen on {self.address}: {self.reason}"


@dataclass(frozen=True, slots=True)
class TcpBind:
    """A TCP address to listen on; port 0 lets the kernel choose a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return format_host_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class UnixBind:
    """A path to listen on with a Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Bind = TcpBind | UnixBind


def parse_bind(text: str) -> Bind:
    """Read an address: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`.

    Raises:
        ValueError: it is none of them; the message says what would be.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or "\0" in path:
            raise ValueError("a Unix socket needs a path, as in unix:/run/user/1000/calc.sock")
        return UnixBind(path)
    host, colon, port_text = text.rpartition(":")
    if not colon or not (port_text.isascii() and port_text.isdigit()) or int(port_text) > 65535:
        raise ValueError(f"{text!r} is no address: write HOST:PORT, [IPV6]:PORT or unix:PATH")
    if not host:
        raise ValueError(f"{text!r} has no host: write 127.0.0.1{text} for this machine only, 0.0.0.0{text} for all")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r} is ambiguous: write an IPv6 address in brackets, as in [::1]:8080")
    return TcpBind(host, int(port_text))


def format_host_port(host: str, port: int) -> str:
    """Write a TCP address as targets are written, with brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_address(connection: socket.socket) -> str:
    """Say who is at the other end: `host:port`, or the process at the other end of a Unix socket.

    Raises:
        OSError: the peer has gone already.
    """
    if connection.family == socket.AF_UNIX:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        pid, uid, _gid = _PEER_CREDENTIALS.unpack(credentials)
        return f"unix:pid={pid},uid={uid}"
    host, port = connection.getpeername()[:2]
    return format_host_port(host, port)


class Listener:
    """A socket that listens.

    Attributes:
        socket: the listening socket, non-blocking; the flag is shared by every process that holds it.
        address: where clients reach it, as targets are written.
    """

    def __init__(self, listening: socket.socket, address: str) -> None:
        self.socket = listening
        self.address = address

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 when it is closed."""
        return self.socket.fileno()

    def secure(self) -> None:
        """Say in the address that TLS is spoken there."""
        self.address = f"tls://{self.address}"

    def withdraw(self) -> None:
        """Let no further client into the queue, in any process, while those in it can still be accepted."""
        program = ctypes.create_string_buffer(_DROP_NEW_CONNECTIONS)
        instructions = len(_DROP_NEW_CONNECTIONS) // _INSTRUCTION.size
        try:
            self.socket.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", instructions, ctypes.addressof(program))
            )
        except OSError as error:
            logger.info("%s: clients that connect during the stop may be reset (%s)", self.address, error)

    def take_queued(self) -> list[socket.socket]:
        """Accept every connection that waits in the queue."""
        taken: list[socket.socket] = []
        while True:
            try:
                connection, _ = self.socket.accept()
            except BlockingIOError:
                return taken
            except OSError as error:
                if error.errno != errno.ECONNABORTED:
                    logger.warning("%s: waiting connections are lost (%s)", self.address, error)
                    return taken
            else:
                taken.append(connection)

    def close(self) -> None:
        """Close this process's descriptor; the socket lives while another process holds one."""
        self.socket.close()


class UnixListener(Listener):
    """A listening Unix socket, and the file that it made."""

    def __init__(self, listening: socket.socket, path: Path) -> None:
        super().__init__(listening, f"unix:{path}")
        self._path = path
        self._identity = _identity(path)
        self._owner = os.getpid()

    def secure(self) -> None:
        """Do nothing: a Unix socket stays plain, since the kernel says who is at its other end."""

    def withdraw(self) -> None:
        """Remove the path, so that nobody finds the socket any more, unless another server has taken it over."""
        if os.getpid() != self._owner:
            return
        with contextlib.suppress(FileNotFoundError):
            if _identity(self._path) == self._identity:
                self._path.unlink()

    def close(self) -> None:
        """Close the socket; the process that made the path removes it."""
        with contextlib.suppress(OSError):
            self.withdraw()
        super().close()


def open_listeners(binds: Iterable[Bind], *, backlog: int, unix_mode: int) -> list[Listener]:
    """Listen on every address; on failure none stays open.

    A host name is listened on at every address that it has, each with its own port where the port is 0.

    Args:
        binds: the addresses.
        backlog: how many connections may wait to be accepted, listen(2).
        unix_mode: the permissions of the path of a Unix socket.

    Raises:
        BindError: an address cannot be had.
    """
    with contextlib.ExitStack() as opened:
        listeners: list[Listener] = []
        for bind in binds:
            made = [_open_unix(bind, unix_mode)] if isinstance(bind, UnixBind) else _open_tcp(bind)
            for listener in made:
                opened.callback(listener.close)
            for listener in made:
                try:
                    listener.socket.listen(backlog)
                except OSError as error:
                    raise BindError(str(bind), _reason(error)) from error
            listeners += made
        opened.pop_all()
    _compare_with_kernel(backlog)
    return listeners


def _compare_with_kernel(backlog: int) -> None:
    """Say so where the kernel allows a shorter queue than was asked for; listen(2) itself shortens it silently."""
    with contextlib.suppress(OSError, ValueError):
        limit = int(_LONGEST_QUEUE.read_text())
        if limit < backlog:
            logger.warning("only %d connections can wait, not %d: net.core.somaxconn allows no more", limit, backlog)


def _open_tcp(bind: TcpBind) -> list[Listener]:
    try:
        found = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise BindError(str(bind), f"the host name is not known ({error.strerror})") from error
    except UnicodeError as error:
        raise BindError(str(bind), "that is no host name") from error
    listeners: list[Listener] = []
    absent: OSError | None = None
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        try:
            listening = _bound(family, address)
        except OSError as error:
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                # `localhost` is ::1 as well in most hosts files, on machines without IPv6 too.
                absent = error
                continue
            for listener in listeners:
                listener.close()
            raise BindError(str(bind), _reason(error)) from error
        host, port = listening.getsockname()[:2]
        listeners.append(Listener(listening, format_host_port(host, port)))
    if not listeners and absent is not None:
        raise BindError(str(bind), _reason(absent)) from absent
    return listeners


def _bound(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else [::] would take IPv4's port as well.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def _open_unix(bind: UnixBind, mode: int) -> UnixListener:
    path = Path(bind.path)
    if len(os.fsencode(bind.path)) > _UNIX_PATH_MAX:
        raise BindError(str(bind), f"the path is longer than {_UNIX_PATH_MAX} bytes: choose a shorter one")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The umask and not chmod, so that there is no moment at which others may connect.
    umask = os.umask(0o777 & ~mode)
    try:
        listening.setblocking(False)
        try:
            _remove_stale(bind, path)
            listening.bind(bind.path)
        except OSError as error:
            raise BindError(str(bind), _reason(error)) from error
        return UnixListener(listening, path)
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(umask)


def _remove_stale(bind: UnixBind, path: Path) -> None:
    """Remove the socket of a server that died; refuse to touch anything that is in use or no socket."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise BindError(str(bind), "there is a file there that is no socket: remove it or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(bind.path)
        except ConnectionRefusedError:
            path.unlink()
            logger.info("removed %s, which a server that is gone has left", path)
            return
        except BlockingIOError:
            pass
    raise BindError(str(bind), "another server listens there: stop it or choose another path")


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the address is in use: stop the other server, or choose another port or port 0"
        case errno.EACCES | errno.EPERM:
            return "permission denied: ports under 1024 need privileges, a path needs a folder that you may write to"
        case errno.EADDRNOTAVAIL:
            return "no interface of this machine has that address"
        case errno.EAFNOSUPPORT:
            return "this machine does not support that kind of address"
        case errno.ENOENT | errno.ENOTDIR:
            return "there is no such folder: create it first"
        case _:
            return error.strerror or str(error)


# A classic BPF program, as in linux/filter.h: where the flags of the TCP header say SYN without ACK the
# segment is dropped. A dropped SYN is sent again after a second, and refused once the socket is closed.
_INSTRUCTION: Final = struct.Struct("HBBI")
_DROP_NEW_CONNECTIONS: Final = b"".join(
    _INSTRUCTION.pack(*instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load byte 13, the flags
        (0x54, 0, 0, 0x12),  # keep SYN and ACK
        (0x15, 0, 1, 0x02),  # only SYN?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFF_FFFF),  # pass
    )
)
