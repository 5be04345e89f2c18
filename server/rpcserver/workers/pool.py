"""The pool model: a fixed number of threads run requests, and connections that wait for their clients need none.

The main thread accepts connections, receives signals and sees to requests that run too long; the poller's thread
reads and cuts out requests (`parking`); the pool's threads run them and write the replies.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from queue import SimpleQueue
from typing import Final

from rpcserver.system.process import allow_descriptors
from rpcserver.workers.acceptor import TICK
from rpcserver.workers.base import Worker
from rpcserver.workers.conversation import WRITE_SIZE, Next
from rpcserver.workers.parking import Parking, PooledConnection
from rpcserver.workers.refusals import refuse_request
from rpcserver.workers.thread import SWITCH_INTERVAL, stack_of, take_overdue

logger = logging.getLogger(__name__)

_SHARE: Final = 16
"""How many requests of one connection are run before others that wait have their turn."""


_LOOK: Final = 0.005
"""Seconds between two looks at a full queue."""

_LOOKS: Final = 40
"""A queue is full when no thread has taken anything from it at so many looks in a row.

They are counted, and not the time they take: where others take the processor, threads run as seldom as the one that
looks, and quick calls may take long.
"""


class PoolWorker(Worker):
    """Runs requests in `threads` threads; at most `queue` connections wait with requests for one of these.

    A request that finds the queue full is answered -32001 (busy) at once. No thread ever waits for a client: what
    one does not read is written by the poller when it can be.
    """

    model = "pool"

    def run(self) -> None:
        """Serve connections until asked to drain, then those that the arbiter still hands over."""
        self._queue: SimpleQueue[PooledConnection] = SimpleQueue()
        self._stuck = False
        self._running: dict[PooledConnection, threading.Thread] = {}
        self._parking = Parking(self.settings, self._submit, self._closed, self.tls)
        self._tick = min(TICK, self.settings.timeout or TICK)
        allow_descriptors(self.settings.max_connections)
        sys.setswitchinterval(SWITCH_INTERVAL)
        for _ in range(self.settings.threads):
            self._add_thread()
        poller = threading.Thread(target=self._parking.run, name="rpcserver-poller", daemon=True)
        poller.start()
        while not self.draining:
            if self._has_room():
                connection = self.acceptor.accept(self._tick)
                if connection is not None and self._parking.add(connection):
                    self.board.connection_opened()
            else:
                self.note_full()
                self.acceptor.wait(self._tick)
            self._look_after(poller)
        self.acceptor.close()
        self._parking.drain()
        more = True
        while more or len(self._parking):
            if more and self._has_room():
                waiting = self.channel.next_connection()
                more = waiting is not None
                if waiting is not None and self._parking.add(waiting):
                    self.board.connection_opened()
            else:
                self.acceptor.wait(self._tick)
            self._look_after(poller)

    def drain(self) -> None:
        """Nothing to do: the signal ends the acceptor's wait."""

    def _has_room(self) -> bool:
        return len(self._parking) < self.settings.max_connections

    def _closed(self) -> None:
        self.board.connection_closed()
        if self.draining or len(self._parking) == self.settings.max_connections - 1:
            self.wake()

    def _submit(self, connection: PooledConnection, new: bool) -> None:
        """Queue a connection that has requests, or turn these away where too many wait already."""
        if not new or self._queue.qsize() < self.settings.queue or self._has_moved():
            self._stuck = False
            self._queue.put(connection)
            return
        conversation = connection.conversation
        while (request := conversation.next_request()) is not None:
            body, last = request
            reply = refuse_request(body, self.settings.queue, close=last)
            conversation.hold(reply, last=last)
            if self.settings.access_log:
                from rpcserver.service.access import log_refusal

                log_refusal(conversation.peer, body, reply)
        self._parking.settle(connection)

    def _has_moved(self) -> bool:
        """Let the threads run for a moment, while the queue is full; False when all are busy for longer.

        In a burst the poller is awake and the threads are not yet, so that a full queue may mean nothing. Once they
        are known to be busy, others are turned away at once until there is room.
        """
        if self._stuck:
            return False
        for _ in range(_LOOKS):
            # Only that makes a thread let go of the interpreter for others that have yet to wake up.
            time.sleep(_LOOK)
            if self._queue.qsize() < self.settings.queue:
                return True
        self._stuck = True
        return False

    def _add_thread(self) -> None:
        threading.Thread(target=self._work, name="rpcserver-pool", daemon=True).start()

    def _work(self) -> None:
        """Be one of the pool's threads, until a request has been given up in it."""
        me = threading.current_thread()
        while True:
            connection = self._queue.get()
            self._running[connection] = me
            if not self._run(connection):
                return
            self._parking.settle(connection)

    def _run(self, connection: PooledConnection) -> bool:
        """Run a connection's requests, as many as are its share; False when the connection is taken away."""
        answer = self.answer
        conversation = connection.conversation
        running = connection.running
        share = _SHARE
        while (request := conversation.next_request()) is not None:
            body, last = request
            began = time.monotonic()
            running[began] = body
            reply = answer(body, conversation.peer, last)
            if running.pop(began, None) is None:
                return False
            conversation.hold(reply, last=last)
            share -= 1
            if conversation.held > WRITE_SIZE and connection.advance() is not Next.ANSWER:
                break
            if share <= 0 and not self._queue.empty():
                break
        del self._running[connection]
        return True

    def _look_after(self, poller: threading.Thread) -> None:
        """See to requests that run too long; a thread cannot be ended, so the worker must be replaced."""
        self.board.tick()
        if not poller.is_alive():
            raise RuntimeError("the poller's thread has ended")
        if not self.settings.timeout:
            return
        now = time.monotonic()
        for connection, thread in list(self._running.items()):
            body = take_overdue(connection.running, now - self.settings.timeout)
            if body is None:
                continue
            del self._running[connection]
            connection.conversation.give_up(body)
            logger.error(
                "%s: a request ran longer than %g s and was given up; this worker will be replaced",
                connection.conversation.peer.address,
                self.settings.timeout,
                extra={"traceback": stack_of(thread)},
            )
            self._parking.settle(connection)
            # The others go on with as many threads as before.
            self._add_thread()
            self.retire("has a request that runs too long")
