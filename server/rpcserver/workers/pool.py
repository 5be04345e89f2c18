"""The pool model: a fixed number of threads run requests, and connections that wait for their clients need none.

A thread that waits in epoll and is woken reads the requests of those that have spoken, runs them, writes the replies
and parks the connections again, without handing anything over; how many threads wait so at a time is said in
`leadership`. The lookout's thread sees to deadlines and to leaders that are held up; and while every thread runs a
request, it reads what comes, which waits in a queue that has an end. What the main thread does is in `threaded`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from rpcserver.system.threads import NoThread, note_thrown, start_thread
from rpcserver.workers.leadership import Leadership, PoolThread
from rpcserver.workers.limits import WRITE_SIZE
from rpcserver.workers.next_step import ANSWER, READ, WRITE
from rpcserver.workers.refusals import give_up, refuse_request
from rpcserver.workers.threaded import ThreadedWorker, take_overdue

if TYPE_CHECKING:
    from rpcserver.workers.base import WorkerSetup
    from rpcserver.workers.parking import ParkedConnection

logger = logging.getLogger(__name__)

_SHARE: Final = 16  # how many requests of one connection are run before others that wait have their turn
_LOOK: Final = 0.005  # seconds between two looks at whether a queue that is full has room again

_LOOKS: Final = 40
"""A queue is full when no thread has taken anything from it at so many looks in a row.

They are counted, and not the time they take: where others take the processor, threads run as seldom as the one that
looks, and quick calls may take long.
"""

_CALM: Final = 10  # after so many looks in a row at which nothing had come, no more are taken until something does
_BATCH: Final = 64  # how many connections that are ready the thread that leads takes at a time


class PoolWorker(ThreadedWorker):
    """Runs requests in `threads` threads; at most `queue` connections wait with requests for one of these.

    A request that finds the queue full is answered -32001 (busy) at once. No thread ever waits for a client: what
    one does not read is written when it can be.
    """

    model = "pool"

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._queue: deque[ParkedConnection] = deque()
        # Those that have spoken, and were not read yet.
        self._ready: deque[ParkedConnection] = deque()
        self._leadership = Leadership(setup.board)
        self._stuck = False
        self._alert = False
        # Free for a moment when the lookout shall look at once: that costs less than an event.
        self._alarm = threading.Lock()
        self._alarm.acquire()

    def prepare(self) -> None:
        """Start the lookout and the pool, which has fewer threads where there are no more."""
        super().prepare()
        self._lookout = start_thread(self._look_out, "rpcserver-lookout")
        self._add_thread()
        for number in range(1, self.settings.threads):
            try:
                self._add_thread()
            except NoThread as error:
                logger.warning("the pool has %d of %d threads: %s", number, self.settings.threads, error)
                return

    def _add_thread(self) -> None:
        start_thread(self._work, "rpcserver-pool", daemon=False)

    def _work(self) -> None:
        """Be one of the pool's threads, until a request has been given up in it."""
        while True:
            me = PoolThread()
            self._leadership.threads.append(me)
            try:
                self._take_turns(me)
                return
            except BaseException:  # noqa: BLE001 - it is logged
                note_thrown()
            finally:
                self._leadership.leave(me)
            # This thread may have been told of clients, and have taken none of them.
            self._parking.repark()
            self._be_alert()

    def _take_turns(self, me: PoolThread) -> None:
        """Serve connections that are ready, and wait for more, until a request has been given up."""
        ready, queue = self._ready, self._queue
        while True:
            try:
                # Those in the queue have waited longer.
                connection = queue.popleft() if queue else ready.popleft()
            except IndexError:
                self._wait(me)
                continue
            me.turns += 1
            try:
                if not self._serve(connection, me):
                    return
            except BaseException:
                # What answers lets nothing of a user's pass; but logging may be a user's too.
                peer = connection.conversation.peer
                logger.critical("%s: this connection is closed after an error", peer.address, exc_info=True)
                me.running.clear()
                connection.conversation.lost = True
                self._parking.settle(connection)
            # A thread that waits for the next one must not keep this one alive.
            del connection

    def _wait(self, me: PoolThread) -> None:
        """Wait until clients have spoken, if this is one of the threads that do so, and else until it shall be."""
        leadership = self._leadership
        me.waits = True
        if leadership.shared:
            self._parking.gather(self._ready, 1)
        elif leadership.leader is me:
            self._parking.gather(self._ready, _BATCH)
        else:
            leadership.follow(me)
        me.waits = False
        if not self._alert:
            self._be_alert()

    def _serve(self, connection: ParkedConnection, me: PoolThread) -> bool:
        """Read and answer, as many requests as are a connection's share; False where one was given up meanwhile."""
        conversation = connection.conversation
        if connection.awaits is READ:
            sole = connection.read_request()
            if sole is not None:
                last = conversation.leaving
                reply = self._run(connection, sole, last, me)
                if reply is None:
                    return False
                if last:
                    conversation.hold(reply, last=True)
                elif connection.write_reply(reply):
                    self._parking.park(connection)
                    return True
        elif connection.awaits is not WRITE and connection.awaits is not ANSWER:
            connection.receive()
        if not self._parking.settle(connection):
            return True
        share = _SHARE
        while share > 0 and (request := conversation.next_request()) is not None:
            body, last = request
            reply = self._run(connection, body, last, me)
            if reply is None:
                return False
            conversation.hold(reply, last=last)
            share -= 1
            if conversation.held > WRITE_SIZE and connection.advance() is not ANSWER:
                break
        if self._parking.settle(connection):
            # It has its next turn among all that are ready by then.
            self._parking.park(connection, ANSWER)
        return True

    def _run(self, connection: ParkedConnection, body: bytes | bytearray, last: bool, me: PoolThread) -> bytes | None:
        """Run a request; None where it was given up, and the connection is no longer this thread's."""
        running = me.running
        began = monotonic()
        running[began] = connection, body
        reply = self.answer(body, connection.conversation.peer, last)
        return None if running.pop(began, None) is None else reply

    def give_up_overdue(self, limit: float) -> None:
        """Answer requests that run too long, and have other threads in place of theirs."""
        for found in list(self._leadership.threads):
            overdue = take_overdue(found.running, limit)
            if overdue is None:
                continue
            connection, body = overdue
            self.note_given_up(connection, found.thread)
            connection.conversation.refuse(give_up(body, self.settings.timeout))
            self._parking.settle(connection)
            # The others go on with as many threads as before, or else until the worker has been replaced.
            with contextlib.suppress(NoThread):
                self._add_thread()

    def _be_alert(self) -> None:
        """Have the lookout see to the threads, as something comes."""
        self._alert = True
        self._hasten()

    def _hasten(self) -> None:
        """Have the lookout look at once, which need not be said twice."""
        with contextlib.suppress(RuntimeError):
            self._alarm.release()

    def _look_out(self) -> None:
        """See to deadlines when they are due, and to the threads while anything comes."""
        parking, leadership = self._parking, self._leadership
        while True:
            self._alarm.acquire(timeout=parking.due_in())
            parking.look_after()
            calm = 0
            served = -1
            while self._alert and calm < _CALM:
                if self._alarm.acquire(timeout=leadership.next_look) or not parking.due_in():
                    parking.look_after()
                leadership.look()
                parking.shared = leadership.shared
                moved, served = served != self.dispatcher.served, self.dispatcher.served
                calm = calm + 1 if leadership.attended and not moved else 0
                if not moved and leadership.all_busy:
                    self._read_ahead()
                if self._queue and not leadership.all_busy:
                    parking.wake()
            self._alert = False
            if not leadership.attended:
                # Who attended may have seen the lookout still there.
                self._alert = True
                self._hasten()

    def _read_ahead(self) -> None:
        """Read what has come, as no thread will soon."""
        while self._leadership.all_busy:
            told = self._parking.gather(self._ready, 1, 0)
            try:
                connection = self._ready.popleft()
            except IndexError:
                if told:
                    continue
                return
            new = connection.awaits is READ
            if connection.awaits is not WRITE and connection.awaits is not ANSWER:
                connection.receive()
            if self._parking.settle(connection):
                self._submit(connection, new)

    def _submit(self, connection: ParkedConnection, new: bool) -> None:
        """Queue a connection that has requests, or turn these away where too many wait already."""
        if not new or len(self._queue) < self.settings.queue or self._has_moved():
            self._stuck = False
            self._queue.append(connection)
            if not self._leadership.all_busy:
                self._parking.wake()
            return
        conversation = connection.conversation
        while (request := conversation.next_request()) is not None:
            body, last = request
            reply = refuse_request(body, self.settings.queue, close=last)
            conversation.hold(reply, last=last)
            self.dispatcher.note_refusal(conversation.peer, body, reply)
        if self._parking.settle(connection):
            self._submit(connection, True)

    def _has_moved(self) -> bool:
        """Let the threads run for a moment, while the queue is full; False when all are busy for longer.

        In a burst the lookout is awake and the threads are not yet, so that a full queue may mean nothing. Once they
        are known to be busy, others are turned away at once until there is room.
        """
        if self._stuck:
            return False
        for _ in range(_LOOKS):
            # Only that makes a thread let go of the interpreter for others that have yet to wake up.
            time.sleep(_LOOK)
            if len(self._queue) < self.settings.queue:
                return True
        self._stuck = True
        return False
