"""The service manager's side of a server: sockets that it passes, and what it is told.

Sockets come as sd_listen_fds(3) says, notifications go as sd_notify(3) says; both without libsystemd, and both are
nothing where the server was not started by a service manager. When to notify is the arbiter's decision.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Final

from rpcserver.system.addresses import BindError, UnixBind, format_host_port
from rpcserver.system.sockets import Listener
from rpcwire.framings import FRAMINGS

if TYPE_CHECKING:
    from collections.abc import MutableMapping

logger = logging.getLogger(__name__)

_FIRST_DESCRIPTOR: Final = 3
_MOST_DIGITS: Final = 9
_LAST_TAKEN: Final = 4096
_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6, socket.AF_UNIX})


class AdoptedListener(Listener):
    """A listening socket that another process has made, and goes on listening on when this server has gone."""

    def withdraw(self) -> None:
        """Do nothing: who connects from now on is the next server's, and the path of a Unix socket its maker's."""

    def in_handshake(self) -> bool:
        """Whether a client is to be waited for: none, since the socket goes on listening."""
        return False

    def shut_down(self) -> None:
        """Do nothing: others listen on."""

    def take_queued(self) -> list[socket.socket]:
        """Accept what waits in the queue, but not for ever what goes on arriving there."""
        taken: list[socket.socket] = []
        # What cannot be taken stays where it is.
        with contextlib.suppress(OSError):
            while len(taken) < _LAST_TAKEN:
                taken.append(self.accept())
        return taken


def inherited_listeners(environment: MutableMapping[str, str] = os.environ) -> list[Listener]:
    """Adopt the listening sockets that a service manager has passed to this process, if it has.

    LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are removed, so that no program that handlers start takes them for its
    own.

    Raises:
        BindError: something else was passed.
    """
    meant_for = environment.pop("LISTEN_PID", "")
    count_text = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if meant_for != str(os.getpid()):
        if count_text:
            logger.warning(
                "the sockets of LISTEN_FDS are not used: LISTEN_PID is %r, and this is process %d; "
                "whatever starts the server has to become it, by exec",
                meant_for,
                os.getpid(),
            )
        return []
    if not (count_text.isascii() and count_text.isdigit() and len(count_text) <= _MOST_DIGITS):
        raise BindError("LISTEN_FDS", f"{count_text!r} is no number of sockets")
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count_text))
    passed = itertools.zip_longest(descriptors, names[: len(descriptors)])
    listeners = [_adopt(descriptor, name) for descriptor, name in passed]
    if listeners:
        logger.info("serving the sockets that were passed to this process; --bind is ignored")
    return listeners


def _adopt(descriptor: int, name: str | None) -> Listener:
    """Take a socket over; one that `FileDescriptorName=` names after a framing speaks that."""
    called = f"descriptor {descriptor} of LISTEN_FDS" + (f" ({name})" if name else "")
    try:
        os.set_inheritable(descriptor, False)
        listening = socket.socket(fileno=descriptor)
    except OSError as error:
        raise BindError(called, f"it is no open socket ({error.strerror})") from error
    try:
        if listening.family not in _FAMILIES or listening.type != socket.SOCK_STREAM:
            raise BindError(called, "it is no stream socket: write ListenStream= in the socket unit")
        if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise BindError(called, "it does not listen: write Accept=no in the socket unit")
    except BindError:
        listening.detach()
        raise
    listening.setblocking(False)
    listener = AdoptedListener(listening, _address(listening))
    if name in FRAMINGS:
        listener.framing = name
    return listener


def _address(listening: socket.socket) -> str:
    name = listening.getsockname()
    if listening.family != socket.AF_UNIX:
        return format_host_port(*name[:2])
    return str(UnixBind.of_name(name))


class Notifier:
    """Tells a service manager what the server does; without one, it tells nobody.

    Args:
        address: the manager's datagram socket, a path or `@` and an abstract name; None where there is none.
        watchdog: after how many seconds without a sign of life the manager kills the server; None for never.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = address
        self._interval = None if address is None or watchdog is None else watchdog / 2
        # When the next sign of life is due, in monotonic seconds; None where none is expected.
        self.deadline = None if self._interval is None else time.monotonic()
        self._leaving = False
        self._heard = True

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Notifier:
        """Make a notifier from NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and remove them.

        So no program that handlers start speaks in the server's name.
        """
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        watched = environment.pop("WATCHDOG_PID", str(os.getpid()))
        if address is not None and not address.startswith(("/", "@")):
            logger.warning("NOTIFY_SOCKET is %r, which is no Unix socket: the service manager is told nothing", address)
            address = None
        watchdog = None
        if microseconds.isascii() and microseconds.isdigit() and int(microseconds) and watched == str(os.getpid()):
            watchdog = int(microseconds) / 1_000_000
        return cls(address, watchdog)

    def ready(self, status: str) -> None:
        """Say that the server serves, for the first time or again after `reloading`."""
        if not self._leaving:
            self._send("READY=1", f"MAINPID={os.getpid()}", _status(status))

    def reloading(self) -> None:
        """Say that a reload has begun; `ready` says that it is over."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", _status("reloading"))

    def stopping(self) -> None:
        """Say, once, that the server is on its way out."""
        if not self._leaving:
            self._leaving = True
            self._send("STOPPING=1", _status("stopping"))

    def status(self, text: str) -> None:
        """Say in a line how the server fares, for `systemctl status`."""
        self._send(_status(text))

    def run_due(self, now: float) -> None:
        """Give a sign of life, if one is due at that time, in monotonic seconds."""
        if self._interval is not None and self.deadline is not None and now >= self.deadline:
            self.deadline = now + self._interval
            self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                # A manager that does not read must not stop the server.
                sender.setblocking(False)
                sender.sendto("\n".join(assignments).encode("utf-8", "backslashreplace"), address)
            self._heard = True
        except OSError as error:
            if self._heard:
                logger.warning("the service manager cannot be told %s (%s)", assignments[0], error)
            self._heard = False


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.splitlines())
