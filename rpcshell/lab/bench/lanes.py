"""The connections of a load process: they are made, written to, read from, lost and made again.

Which call is begun when is the generator's business, in `load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed
from rpcshell.client.target import Target
from rpcshell.lab.bench.dialler import Dialler
from rpcshell.lab.bench.lane import Lane
from rpcwire import Goodbye, Reply, WireError, decode_reply, frame

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from rpcshell.client.tls import TlsStream
    from rpcshell.lab.bench.messages import Task
    from rpcshell.lab.bench.poller import Poller
    from rpcshell.lab.bench.tally import Tally

__all__ = ["LOST", "NOT_ANSWERED", "NOT_UNDERSTOOD", "NO_CONNECTION", "RETRY", "TIMED_OUT", "Lanes"]

LOST: Final = "connection lost"
NO_CONNECTION: Final = "no connection"
NOT_ANSWERED: Final = "no reply when it was stopped"
NOT_UNDERSTOOD: Final = "reply not understood"
TIMED_OUT: Final = "no reply in time"

RETRY: Final = 50_000_000
"""Nanoseconds between two attempts at a connection that was refused, or brought nothing."""

_BATCH: Final = 64 * 1024


class Lanes:
    """All connections.

    Args:
        task: Says how many, where to, and what is sent on them.
        poller: Waits for them.
        tally: Counts.
    """

    def __init__(self, task: Task, poller: Poller, tally: Tally) -> None:
        self.all = [Lane() for _ in range(task.connections)]
        self.by_descriptor: dict[int, Lane] = {}
        self.dialler: Dialler[Lane] = Dialler(Target.parse(task.target), task.tls)
        self._poller = poller
        self._tally = tally
        # Several calls that begin together are sent together.
        self._batch = max(1, min(task.pipeline, _BATCH // len(task.body)))
        self._usual = memoryview(frame(task.body) * self._batch)
        self._first = memoryview(frame(task.first) * self._batch)
        poller.register(self.dialler.fileno())

    def __iter__(self) -> Iterator[Lane]:
        return iter(self.all)

    @property
    def under_way(self) -> bool:
        """Whether a call is."""
        return any(lane.due for lane in self.all)

    @property
    def alive(self) -> bool:
        """Whether there is a connection."""
        return bool(self.by_descriptor)

    def dial(self, lane: Lane) -> None:
        """Have a connection made, unless that is being done."""
        if not lane.dialling:
            lane.dialling = True
            self.dialler.want(lane)

    def take(self, now: int, *, first: bool = False) -> list[Lane]:
        """Take the connections that were made, and send on them what is known not to have run.

        Args:
            now: What time it is.
            first: Whether none may fail.

        Raises:
            ConnectionFailed: The first time one cannot be made.
        """
        opened = []
        for lane, made in self.dialler.take():
            lane.dialling = False
            if isinstance(made, ConnectionFailed):
                if first:
                    raise made
                lane.retry_at = now + RETRY
            else:
                self._open(lane, made)
                opened.append(lane)
        return opened

    def _open(self, lane: Lane, stream: socket.socket | TlsStream) -> None:
        lane.open(stream)
        self.by_descriptor[stream.fileno()] = lane
        self._poller.register(stream.fileno())
        self.send(lane, len(lane.due))

    def close(self, lane: Lane) -> None:
        """Close a connection."""
        if (stream := lane.stream) is not None:
            self._poller.unregister(stream.fileno())
            del self.by_descriptor[stream.fileno()]
            lane.close()
            self._tally.credit(lane.worker, lane.answered)

    def drop(self, lane: Lane, kind: str, now: int) -> None:
        """Give up a connection, and the calls on it."""
        self._tally.problem(kind, len(lane.due))
        lane.due.clear()
        self._renew(lane, now)

    def _renew(self, lane: Lane, now: int) -> None:
        fruitful = lane.answered > 0
        self.close(lane)
        if fruitful:
            self.dial(lane)
        else:
            # One that brings nothing would be made and lost without end.
            lane.retry_at = now + RETRY

    def send(self, lane: Lane, count: int) -> None:
        """Send a number of calls."""
        batch = self._batch
        while count > batch:
            self.send(lane, batch)
            count -= batch
        if lane.stream is None or not count:
            return
        data = self._usual if lane.worker else self._first
        if count != batch:
            data = data[: len(data) // batch * count]
        if lane.unsent:
            lane.unsent = memoryview(bytes(lane.unsent) + bytes(data))
            return
        try:
            sent = lane.send(data)
        except BlockingIOError:
            sent = 0
        except (OSError, ConnectionFailed):
            # Whoever reads next is told the same.
            return
        self._tally.bytes_out += sent
        if sent < len(data):
            lane.unsent = data[sent:]
            self._poller.modify(lane.stream.fileno(), writing=True)

    def flush(self, lane: Lane) -> None:
        """Send what was not taken before."""
        if lane.stream is None or not lane.unsent:
            return
        try:
            sent = lane.send(lane.unsent)
        except BlockingIOError:
            return
        except (OSError, ConnectionFailed):
            sent = len(lane.unsent)
        self._tally.bytes_out += sent
        lane.unsent = lane.unsent[sent:]
        if not lane.unsent:
            self._poller.modify(lane.stream.fileno(), writing=False)

    def look_into(self, lane: Lane, data: bytes, now: int) -> None:
        """Count the replies of a read, and do what they say beside that.

        Args:
            lane: Where it came.
            data: What came; nothing at the end of the connection.
            now: When.
        """
        if not data:
            self.drop(lane, LOST, now)
            return
        stream = lane.stream
        try:
            for body in lane.frames(data):
                if lane.worker and lane.due and lane.is_plain(body):
                    self._count(lane, now)
                elif lane.stream is stream:
                    self._heed(lane, decode_reply(body), now)
        except WireError:
            if lane.stream is stream:
                self._tally.problem(NOT_UNDERSTOOD, not lane.due)
                self.drop(lane, NOT_UNDERSTOOD, now)

    def _count(self, lane: Lane, now: int) -> None:
        self._tally.reply(lane.due.popleft(), now)
        lane.answered += 1

    def _heed(self, lane: Lane, reply: Reply | Goodbye, now: int) -> None:
        """Take a reply that may be unlike most."""
        if isinstance(reply, Goodbye):
            # What was not answered has not been run, and is sent again.
            self._renew(lane, now)
            return
        if not lane.due:
            self._tally.problem(NOT_UNDERSTOOD)
            self._renew(lane, now)
            return
        if reply.meta is not None:
            lane.worker = reply.meta.worker
        elif not lane.worker:
            # A server that does not tell is not asked again.
            lane.worker = -1
        if (fault := reply.fault) is not None:
            self._tally.fault(fault)
        self._count(lane, now)
        if reply.close:
            self._renew(lane, now)

    def look_after(self, now: int, patience: int, *, over: bool) -> None:
        """Give up calls that take too long, and connect again where that failed before.

        Args:
            now: What time it is.
            patience: Nanoseconds without a reply after which a call is given up.
            over: Whether no calls are begun any more.
        """
        for lane in self.all:
            if not lane.due or lane.answered != lane.seen:
                lane.seen, lane.seen_at = lane.answered, now
            elif now - lane.seen_at > patience:
                self.drop(lane, TIMED_OUT, now)
            if lane.stream is None and now >= lane.retry_at and (lane.due or not over):
                self.dial(lane)
