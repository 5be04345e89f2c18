"""Which of a pool's threads wait for clients: one at a time while calls only compute, all of them while calls wait.

Threads that wait in one epoll take the interpreter from each other: while one answers, the next is woken for another
connection, and gets it at the first system call. So one leads: it takes all connections that are ready, and answers
them one after another, while the others sleep. Calls that wait, for a database or a disk, are what a pool has threads
for, and then all of them wait for clients.

Whoever takes a connection has it alone, in either way, so that it may be wrong for a moment who leads.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from rpcserver.system.scoreboard import ANSWERED, BUSY

if TYPE_CHECKING:
    from rpcserver.system.scoreboard import SlotBoard
    from rpcserver.workers.parking import ParkedConnection

_WAITING: Final = 25_000
"""For how long calls wait on average, in nanoseconds, when it is worth it that all threads wait for clients.

Those that take the interpreter from each other cost as much a call.
"""

_LONGEST: Final = 1_000_000  # for how long a call counts that has waited longer, in nanoseconds
_WEIGHT: Final = 0.1  # what one look counts against those before it

_LOOK: Final = 0.005
"""Seconds between two looks, where no thread leads, or the one that does moves.

Whoever looks wants the interpreter, and is woken up in vain again and again until the leader lets go of it in time.
"""

_GLANCE: Final = 0.002  # seconds between two looks at a leader that was held up a moment ago, or waited for clients
_STEADY: Final = 50  # a leader that has moved at so many looks in a row is looked at less often


class PoolThread:
    """One of the threads."""

    __slots__ = ("called", "running", "thread", "turns", "waits")

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        # The request that it runs and whose that is, by its start; see `take_overdue`.
        self.running: dict[float, tuple[ParkedConnection, bytes | bytearray]] = {}
        self.turns = 0  # how many connections it has taken
        self.waits = True  # whether it waits for clients, or until it shall do so
        self.called = threading.Lock()  # released when it shall wait for clients
        self.called.acquire()


class Leadership:
    """Who leads, or whether all do."""

    leader: PoolThread | None
    """The only thread that waits for clients; None where the first that is free shall be."""

    def __init__(self, board: SlotBoard) -> None:
        self.threads: list[PoolThread] = []
        self.leader = None
        self.shared = False  # whether all of them wait for clients, and there is no leader
        self._followers: list[PoolThread] = []
        self._seen = 0
        self._held_up = False
        self._steady = 0
        self._cells = board.cells
        self._waited = 0.0
        self._answered = self._busy = self._computed = 0

    @property
    def all_busy(self) -> bool:
        """Whether no thread waits for anything to do."""
        return not any(thread.waits for thread in self.threads)

    @property
    def attended(self) -> bool:
        """Whether a thread waits for clients."""
        leader = self.leader
        return not self.all_busy if leader is None else leader.waits

    @property
    def next_look(self) -> float:
        """In how many seconds to look again."""
        return _LOOK if self.leader is None or self._steady >= _STEADY else _GLANCE

    def follow(self, me: PoolThread) -> None:
        """Lead if no other does; else sleep until called."""
        if self.leader is None:
            self.leader = me
            return
        self._followers.append(me)
        if self.shared or self._leaderless():
            # Whoever saw to that may not have seen this one.
            self.call_next()
        me.called.acquire()

    def leave(self, me: PoolThread) -> None:
        """Go on without a thread, whatever it was at."""
        me.waits = False
        self.threads.remove(me)
        with contextlib.suppress(ValueError):
            self._followers.remove(me)
        if self.leader is me:
            self.call_next()

    def call_next(self) -> bool:
        """Have another thread lead; False where none is free, so that the first that is shall."""
        while True:
            try:
                # The last has slept for the shortest time.
                chosen = self._followers.pop()
            except IndexError:
                self.leader = None
                if self._followers:
                    # It has come meanwhile, and seen a leader.
                    continue
                return False
            # Where it is held up by the next look, it is so by its first connection.
            self._seen = chosen.turns + 1
            self.leader = chosen
            chosen.called.release()
            return True

    def look(self) -> None:
        """See whether the leader is held up, and whether calls wait; in one thread, at every `next_look`."""
        self._measure()
        leader = self.leader
        self._steady = self._steady + 1 if leader is not None and leader.turns != self._seen else 0
        if self.shared:
            if self._waited < _WAITING / 2:
                self.leader = None
                self.shared = self._held_up = False
        elif leader is None:
            self.call_next()
        elif leader.waits or leader.turns != self._seen:
            self._seen = leader.turns
            self._held_up = False
            if self._waited > _WAITING:
                self._share()
        elif self._held_up:
            # So is the one that was called at the last look.
            self._waited = max(self._waited, _LONGEST * _WEIGHT)
            self._share()
        else:
            self._held_up = self.call_next()

    def _leaderless(self) -> bool:
        return self.leader is None

    def _share(self) -> None:
        self.shared = True
        while self.call_next():
            pass

    def _measure(self) -> None:
        """Note how long those calls have waited that ended since the last look: what they took and did not compute."""
        cells = self._cells
        answered, busy, computed = cells[ANSWERED], cells[BUSY], time.process_time_ns()
        if calls := answered - self._answered:
            waited = (busy - self._busy - (computed - self._computed)) / calls
            self._waited += (min(max(waited, 0.0), _LONGEST) - self._waited) * _WEIGHT
            self._answered, self._busy, self._computed = answered, busy, computed
