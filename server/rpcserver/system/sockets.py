"""Listening sockets: opening them, and taking them out of service without loss.

When workers accept from them is the business of `rpcserver.workers.acceptor`; how many clients wait, of `listen_queue`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import re
import select
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcserver.system.addresses import NATIVE, BindError, TcpBind, UnixBind, format_host_port, with_framing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcserver.system.addresses import Bind

logger = logging.getLogger(__name__)

SHORTAGE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The errors of accept(2) that say that the system has no room for a connection, which stays in the queue."""

_UNIX_PATH_MAX: Final = 107  # unix(7): sun_path has 108 bytes, its closing zero included
_ABSTRACT_MAX: Final = 108  # the zero is then the first
_LONGEST_QUEUE: Final = Path("/proc/sys/net/core/somaxconn")

_SO_BINDTOIFINDEX: Final = 62  # asm-generic/socket.h, Linux 5.1; since 5.7 no privilege is needed
_NO_DEVICE: Final = 0x7FFF_FFFF

# The least time to live of packets that a socket takes: ip(7), linux/in.h, linux/in6.h; socket does not name them.
_LEAST_HOPS: Final = {socket.AF_INET: (socket.IPPROTO_IP, 21), socket.AF_INET6: (socket.IPPROTO_IPV6, 73)}
_MORE_THAN_ANY: Final = 255

# As it is before an app can put another class in its place.
_Socket: Final = socket.socket


def connection_of(descriptor: int, family: int = -1, kind: int = -1, protocol: int = -1) -> socket.socket:
    """A connection of a descriptor, whatever an app has made of Python's class of sockets and of their timeout.

    Its family, type and protocol are looked up unless they are given.
    """
    connection = _Socket(family, kind, protocol, descriptor)
    if socket.getdefaulttimeout() is not None:
        connection.setblocking(True)
    return connection


@contextlib.contextmanager
def looked_at(descriptor: int) -> Iterator[socket.socket]:
    """A socket of a descriptor that stays as it is and open; an app's default timeout would have it block no more.

    Raises:
        OSError: it is no socket.
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(None)
    try:
        found = _Socket(fileno=descriptor)
    finally:
        socket.setdefaulttimeout(timeout)
    try:
        yield found
    finally:
        found.detach()


class Listener:
    """A socket that listens, and the framing of what is said on its connections."""

    def __init__(self, listening: socket.socket, address: str) -> None:
        self.socket = listening
        self.framing = NATIVE
        self._address = address
        self._bound_to = listening.getsockname()
        self._over_ip = listening.family in _LEAST_HOPS
        self._least_hops = None if _may_leave_devices() else _LEAST_HOPS.get(listening.family)

    def fileno(self) -> int:
        """Return the socket's file descriptor, or -1 when it is closed."""
        return self.socket.fileno()

    @property
    def in_place(self) -> bool:
        """Whether clients still find the socket where its address says."""
        return True

    @property
    def address(self) -> str:
        """Where clients reach it, as targets are written."""
        return with_framing(self._address, self.framing)

    def secure(self) -> None:
        """Say in the address that TLS is spoken there."""
        self._address = f"tls://{self._address}"

    def accept(self) -> socket.socket:
        """Accept a connection that waits.

        Raises:
            OSError: none waits (BlockingIOError), or it cannot be accepted; EINVAL when the listener was shut down.
        """
        descriptor, _ = self.socket._accept()  # type: ignore[attr-defined]  # not in typeshed
        connection = connection_of(descriptor, self.socket.family, self.socket.type, self.socket.proto)
        if self._least_hops is not None:
            # A connection inherits what `withdraw` sets, and would hear nothing of its client.
            with contextlib.suppress(OSError):
                connection.setsockopt(*self._least_hops, 0)
        return connection

    def withdraw(self) -> None:
        """Let no further client into the queue, in any process; handshakes under way end, and who waits is kept.

        A listener that is bound to a device which does not exist is not found by who asks for a connection, so that
        the kernel refuses it; the handshakes that it has begun are not the listener's any more. Where it takes
        privilege to bind to a device, what asks for a connection is dropped, and asks again after a second: clients
        send packets with a time to live of 64 or 128, and the listener takes none with less than 255.
        """
        if not self._over_ip:
            return
        try:
            if self._least_hops is None:
                self.socket.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_DEVICE)
            else:
                self.socket.setsockopt(*self._least_hops, _MORE_THAN_ANY)
        except OSError as error:
            option = "SO_BINDTOIFINDEX" if self._least_hops is None else "IP_MINTTL"
            reason = f"the kernel refuses {option}: {error.strerror}"
            logger.warning("%s: clients that connect during this stop may lose a call (%s)", self.address, reason)

    def in_handshake(self) -> bool:
        """Whether the kernel tells of clients whose handshake is under way."""
        if not self._over_ip:
            return False
        host, port = self.socket.getsockname()[:2]
        table = Path("/proc/net/tcp6" if ":" in host else "/proc/net/tcp")
        try:
            # proc(5): the local address, the remote one, and the state; 03 is SYN_RECV.
            return bool(re.search(rb":%04X [0-9A-F]+:[0-9A-F]+ 03 " % port, table.read_bytes()))
        except OSError:
            return False

    def take_queued(self) -> list[socket.socket]:
        """Accept every connection that waits in the queue."""
        taken: list[socket.socket] = []
        while True:
            try:
                taken.append(self.accept())
            except BlockingIOError:
                return taken
            except OSError as error:
                if error.errno == errno.EINVAL:
                    return taken
                if error.errno != errno.ECONNABORTED:
                    logger.warning("%s: waiting connections are lost (%s)", self.address, error)
                    return taken

    def is_shut_down(self) -> bool:
        """Whether the socket lets nobody in any more, since a process that has it called shutdown(2) for it."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    def listen_again(self, backlog: int) -> bool:
        """Listen once more after that, for all processes that have the socket; False where the kernel refuses it."""
        with contextlib.suppress(OSError):
            # A port that the kernel has chosen itself is let go of, and any other one is kept, which is an error here.
            self.socket.bind(self._bound_to)
        with contextlib.suppress(OSError):
            self.socket.listen(backlog)
        return not self.is_shut_down() and self.socket.getsockname() == self._bound_to

    def shut_down(self) -> None:
        """Refuse whoever connects from now on, whatever other process still holds the socket."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close this process's descriptor; the socket lives while another process holds one."""
        self.socket.close()


@functools.cache
def _may_leave_devices() -> bool:
    """Whether this process may bind a socket to a device that does not exist."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_DEVICE)
        return True
    return False


class _UnixListener(Listener):
    """A listening Unix socket, and the file that it made, unless it has an abstract name."""

    def __init__(self, listening: socket.socket, bind: UnixBind) -> None:
        self._path = None if bind.abstract else Path(bind.path).absolute()
        # Who reads the address may be in another folder, where a server of theirs may listen at the same relative path.
        super().__init__(listening, str(UnixBind(bind.path if self._path is None else str(self._path))))
        self._identity = None if self._path is None else _identity(self._path)
        self._owner = os.getpid()

    @property
    def in_place(self) -> bool:
        """Whether the path is still that of this socket."""
        with contextlib.suppress(OSError):
            return self._path is not None and _identity(self._path) == self._identity
        return False

    def secure(self) -> None:
        """Do nothing: a Unix socket stays plain, since the kernel says who is at its other end."""

    def withdraw(self) -> None:
        """Refuse new clients, but keep those in the queue; remove the path unless another server has taken it over."""
        if os.getpid() != self._owner:
            return
        self.shut_down()
        if self._path is not None and self.in_place:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def close(self) -> None:
        """Close the socket; the process that made the path removes it."""
        with contextlib.suppress(OSError):
            self.withdraw()
        super().close()


def open_listeners(binds: Iterable[Bind], *, backlog: int, unix_mode: int) -> list[Listener]:
    """Listen on every address; on failure none stays open.

    A host name is listened on at every address that it has, each with its own port where the port is 0. The mode is
    that of the paths of Unix sockets.

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
                listener.framing = bind.framing
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
    # As bytes, an ASCII name spares the import of the IDNA codec.
    host = bind.host.encode("ascii") if bind.host.isascii() else bind.host
    try:
        found = socket.getaddrinfo(host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
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
        listeners.append(Listener(listening, format_host_port(*listening.getsockname()[:2])))
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


def _open_unix(bind: UnixBind, mode: int) -> _UnixListener:
    longest = _ABSTRACT_MAX if bind.abstract else _UNIX_PATH_MAX
    if len(os.fsencode(bind.name)) > longest:
        raise BindError(str(bind), f"a Unix socket's name has at most {_UNIX_PATH_MAX} bytes: choose a shorter one")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The umask and not chmod, so that there is no moment at which others may connect.
    umask = os.umask(0o777 & ~mode)
    try:
        listening.setblocking(False)
        try:
            if not bind.abstract:
                _remove_stale(bind, Path(bind.path))
            listening.bind(bind.name)
        except OSError as error:
            taken = bind.abstract and error.errno == errno.EADDRINUSE
            reason = "another server listens there: stop it or choose another name" if taken else _reason(error)
            raise BindError(str(bind), reason) from error
        if bind.abstract:
            logger.warning("%s: every user of this machine may connect, since only paths have a mode", bind)
        return _UnixListener(listening, bind)
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
