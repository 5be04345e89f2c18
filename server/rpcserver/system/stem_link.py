"""The link between the arbiter and a stem: orders to fork workers go one way, what became of them the other.

A message is a packet of JSON; with an order come the descriptors that its worker gets. Whoever closes an end ends the
stem, or says that it has ended.
"""

from __future__ import annotations

import socket
from typing import Final

import msgspec

from rpcserver.system.channel import AppEnd, WatchedEnd, WorkerEnd, WorkerFailed
from rpcserver.system.sockets import connection_of

STEM_NAME: Final = "rpcserver-stem"  # what ps(1) and top(1) call a stem


class WorkerOrder(msgspec.Struct, frozen=True, tag="fork"):
    """An order: fork a worker with that number, whose slot on the scoreboard has that index."""

    worker: int
    index: int


class Retire(msgspec.Struct, frozen=True, tag="retire"):
    """No order follows: let go of the listeners, and stay for the sake of the workers until the link ends."""


class AppLoaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The app is loaded: orders can be taken."""


class WorkerForked(msgspec.Struct, frozen=True, tag="forked"):
    """The last order was carried out; or `problem` says why it could not be."""

    problem: str | None = None


_StemOrder = WorkerOrder | Retire
_StemReport = AppLoaded | WorkerFailed | WorkerForked
_orders: Final = msgspec.json.Decoder(_StemOrder)
_reports: Final[msgspec.json.Decoder[_StemReport]] = msgspec.json.Decoder(_StemReport)


class StemLink(WatchedEnd):
    """The arbiter's end; it never waits."""

    def order(self, worker: int, index: int, channel: WorkerEnd, lifeline: int) -> None:
        """Order a worker, which gets its end of a channel and of a lifeline.

        Raises:
            OSError: the stem has ended.
        """
        message = msgspec.json.encode(WorkerOrder(worker, index))
        socket.send_fds(self._socket, [message], [channel.fileno(), lifeline])

    def retire(self) -> None:
        """Tell the stem that no order follows; raises OSError where it has ended."""
        self._socket.send(msgspec.json.encode(Retire()))

    def receive(self) -> _StemReport | None:
        """Take the next report, or None when there is none yet; raises EOFError where the stem has closed its end."""
        message = self._next_packet()
        return None if message is None else _reports.decode(message)


class StemEnd(AppEnd):
    """The stem's end."""

    def loaded(self) -> bool:
        """Report that the app is loaded; returns whether that could be told."""
        return self._report(AppLoaded())

    def forked(self, problem: str | None = None) -> None:
        """Report what became of the last order."""
        self._report(WorkerForked(problem))

    def receive(self) -> tuple[WorkerOrder, WorkerEnd, int] | Retire | None:
        """Wait for the next order: with the worker's ends of its channel and its lifeline; None when the link ends."""
        try:
            message, descriptors = self._receive(2)
        except ConnectionResetError:
            return None
        if not message:
            return None
        order = _orders.decode(message)
        if isinstance(order, Retire):
            return order
        channel, lifeline = descriptors
        return order, WorkerEnd(connection_of(channel)), lifeline


def open_stem_link() -> tuple[StemLink, StemEnd]:
    """Make both ends; neither survives an exec."""
    arbiter, stem = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return StemLink(arbiter), StemEnd(stem)
