"""The stems of a server, for `--preload`: which one forks the workers, when another one is made, and when one may end.

A reload makes a stem beside the one that is there, and changes over when its app is loaded; the former one stays until
a worker of the new one is ready, so that there is a way back. A stem that dies is made anew. A stem that is not needed
any more stays as long as its workers, since what its app does at exit may concern what these use.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.slots import LAST_WORDS, backoff
from rpcserver.arbiter.stem_process import ForkOrder, StemProcess, StemState
from rpcserver.system.channel import WorkerFailed, open_channel
from rpcserver.system.lifeline import open_lifeline
from rpcserver.system.process import ChildProcess
from rpcserver.system.stem_link import AppLoaded, WorkerForked, open_stem_link
from rpcserver.workers.base import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rpcserver.arbiter.events import EventRing
    from rpcserver.arbiter.overseer import ForkOverseer, Overseer
    from rpcserver.arbiter.spawner import Spawner
    from rpcserver.system.channel import ArbiterEnd
    from rpcserver.system.loop import Reactor
    from rpcserver.system.process import Closeable
    from rpcserver.system.scoreboard import Scoreboard

logger = logging.getLogger(__name__)

_FORK_PATIENCE: Final = 10.0
"""Seconds that a stem may take for a fork, which takes milliseconds, unless something in it hangs."""

_NOBODY: Final = -1
"""The index of a worker that is not wanted any more."""

_LEAVE_PATIENCE: Final = 5.0
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
_LIVED: Final = 10.0
"""A stem that had its app loaded for so many seconds did not die of it."""


class Stems:
    """Makes stems, and has them fork workers; `private` yields what stems must not hold of the arbiter's.

    An app may load for `start_timeout` seconds; 0 is no limit.

    Raises:
        ServerError: the kernel has no way to make the arbiter the parent of what a stem forks.
    """

    def __init__(
        self,
        spawner: Spawner,
        board: Scoreboard,
        reactor: Reactor,
        crew: ForkOverseer,
        overseer: Overseer,
        events: EventRing,
        private: Callable[[], Iterable[Closeable]],
        start_timeout: float,
    ) -> None:
        self._spawner = spawner
        self._board = board
        self._reactor = reactor
        self._crew = crew
        self._overseer = overseer
        self._events = events
        self._private = private
        self._start_timeout = start_timeout
        self._orders: deque[ForkOrder] = deque()
        self._all: list[StemProcess] = []
        self._current: StemProcess | None = None
        self._coming: StemProcess | None = None
        self._former: StemProcess | None = None
        self._generation = 0
        self._early_deaths = 0
        self._mend_at: float | None = None
        self._leaving = False
        self._hurried = False
        spawner.adopt_workers()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[StemProcess]:
        return iter(self._all)

    @property
    def pids(self) -> set[int]:
        """The processes of all stems."""
        return {stem.process.pid for stem in self}

    @property
    def queued(self) -> int:
        """How many workers are wanted that no stem was ordered yet to fork."""
        return len(self._orders)

    @property
    def has_failed(self) -> bool:
        """Whether there is no stem: none loads the app either, and none is due to be started."""
        return self._current is None and self._coming is None and (self._mend_at or inf) > time.monotonic()

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        due = (self._mend_at, *(stem.deadline for stem in self._all))
        return min((at for at in due if at is not None), default=None)

    def holdings(self) -> Iterator[Closeable]:
        """What a new process must not hold of the stems'."""
        yield from self._all
        yield from self._orders

    def load(self, generation: int) -> None:
        """Have a new stem load the app; the overseer is told how that ends."""
        self._mend_at = None
        # Whoever asks for that may have mended what the others have died of.
        self._early_deaths = 0
        if self._coming is not None:
            self._retire(self._coming)
            self._coming = None
        self._start(generation, announced=True)

    def order(self, worker: int, index: int, generation: int) -> tuple[ChildProcess, ArbiterEnd]:
        """Have a worker forked, as soon as there is a stem that can; it says itself which process it is.

        Args:
            worker: its number.
            index: of its slot on the scoreboard.
            generation: of the stem that it is to come of.

        Raises:
            OSError: there is no descriptor left.
        """
        arbiter_end, worker_end = open_channel()
        try:
            end, lifeline = open_lifeline()
        except OSError:
            arbiter_end.close()
            worker_end.close()
            raise
        self._orders.append(ForkOrder(worker, index, generation, worker_end, end))
        self._send_next()
        return ChildProcess(lifeline), arbiter_end

    def has_under_way(self, index: int) -> bool:
        """Whether a stem has yet to say what became of a worker that it was ordered to fork."""
        return any(stem.under_way == index for stem in self._all)

    def left(self, index: int) -> None:
        """Note that a worker has ended, or is not wanted any more."""
        for stem in self._all:
            stem.workers.discard(index)
            if stem.under_way == index:
                stem.under_way = _NOBODY
        for order in [order for order in self._orders if order.index == index]:
            self._orders.remove(order)
            order.close()

    def prove(self, generation: int) -> None:
        """Note that a worker is ready: where it is of a new generation, there is no way back to the former stem."""
        if self._former is not None and self._former.generation < generation:
            self._retire(self._former)
            self._former = None

    @property
    def can_revert(self) -> bool:
        """Whether the former stem is still there."""
        return self._former is not None

    def revert(self) -> None:
        """Have workers forked by the former stem again, since those of the new one do not start."""
        if self._former is None:
            return
        if self._current is not None:
            self._retire(self._current)
        former, self._current, self._former = self._former, None, None
        self._change_to(former)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to each."""
        for stem in self._all:
            stem.process.send_signal(number)

    def leave(self) -> None:
        """Have no more workers forked; stems end when theirs have."""
        self._leaving = True
        self._mend_at = None
        for stem in self._all:
            self._retire(stem)
        self._current = self._coming = self._former = None

    def hurry(self, number: signal.Signals) -> None:
        """Have stems leave soon, or at once where the signal is SIGKILL."""
        self._hurried = True
        soon = time.monotonic() + LAST_WORDS
        for stem in self._all:
            if stem.deadline is not None:
                stem.deadline = min(stem.deadline, soon)
        if number is signal.SIGKILL:
            self.send_signal(number)

    def run_due(self, now: float) -> None:
        """See to the deadlines that have passed, and to stems that may end."""
        if self._mend_at is not None and now >= self._mend_at:
            self._mend_at = None
            self._start(self._generation, announced=False)
        for stem in tuple(self._all):
            if stem.state is StemState.RETIRED and not stem.workers and stem.link.fileno() >= 0:
                self._reactor.unwatch(stem.link.fileno())
                stem.link.close()
                stem.deadline = now + (LAST_WORDS if self._hurried else _LEAVE_PATIENCE)
            elif stem.deadline is not None and now >= stem.deadline:
                self._on_deadline(stem, now)

    def _start(self, generation: int, *, announced: bool) -> None:
        now = time.monotonic()
        try:
            link, end = open_stem_link()
            process = self._spawner.spawn_stem(generation, self._board, self._private(), link, end)
        except OSError as error:
            self._failed(
                WorkerFailed(f"the app cannot be loaded: {error.strerror}", shortage=True), announced=announced
            )
            return
        limit = self._start_timeout
        stem = StemProcess(generation, process, link, announced, now, deadline=now + limit if limit else None)
        self._coming = stem
        self._all.append(stem)
        self._reactor.watch(process.fileno(), lambda: self._on_exit(stem))
        self._reactor.watch(link.fileno(), lambda: self._on_reports(stem))

    def _send_next(self) -> None:
        """Send the next order, if the stem is free for it."""
        stem = self._current
        while stem is not None and stem.state is StemState.READY and stem.under_way is None and self._orders:
            order = self._orders[0]
            try:
                stem.link.order(order.worker, order.index, order.channel, order.lifeline)
            except (BrokenPipeError, ConnectionResetError):
                # The stem has ended, which the loop is told next.
                return
            except OSError as error:
                self._orders.popleft().close()
                self._crew.fork_failed(order.index, error.strerror or str(error))
                continue
            self._orders.popleft().close()
            stem.under_way = order.index
            stem.workers.add(order.index)
            stem.deadline = time.monotonic() + _FORK_PATIENCE

    def _on_reports(self, stem: StemProcess) -> None:
        try:
            while stem.link.fileno() >= 0 and (report := stem.link.receive()) is not None:
                match report:
                    case AppLoaded():
                        self._on_loaded(stem)
                    case WorkerFailed():
                        stem.failure = report
                    case WorkerForked(problem):
                        index, stem.under_way = stem.under_way, None
                        if stem.state is not StemState.ABORTING:
                            stem.deadline = None
                        if index is not None and not self._crew.settle_fork(index, problem) and problem is not None:
                            self._crew.fork_failed(index, problem)
                        self._send_next()
        except EOFError:
            self._reactor.unwatch(stem.link.fileno())

    def _on_loaded(self, stem: StemProcess) -> None:
        if stem is not self._coming:
            return
        stem.state = StemState.READY
        stem.deadline = None
        stem.loaded_at = time.monotonic()
        self._events.add("stem_ready", generation=stem.generation)
        # What is ordered now is for the new stem, after what waits.
        former, self._current, self._coming = self._current, None, None
        if stem.announced:
            self._overseer.app_loaded()
            if self._former is not None:
                self._retire(self._former)
            self._former = former
        self._change_to(stem)

    def _change_to(self, stem: StemProcess) -> None:
        """Have workers forked by this stem from now on.

        What was ordered of another generation is ordered again: every worker is of the one that it is said to be.
        """
        for order in [order for order in self._orders if order.generation != stem.generation]:
            self._crew.fork_failed(order.index)
        self._current = stem
        self._generation = stem.generation
        self._send_next()

    def _on_deadline(self, stem: StemProcess, now: float) -> None:
        stem.deadline = None
        match stem.state:
            case StemState.LOADING:
                problem = f"the app was not loaded after {self._start_timeout:g} s"
                advice = "see what it does when it is imported, or raise --start-timeout"
                stem.failure = WorkerFailed(f"{problem}: {advice}")
                logger.error("%s; the stack of %s follows, and it is killed", problem, stem)
                self._abort(stem, now)
            case StemState.READY:
                logger.error(
                    "%s has not forked a worker in %g s; its stack follows, and it is killed", stem, _FORK_PATIENCE
                )
                self._abort(stem, now)
            case _:
                stem.process.send_signal(signal.SIGKILL)

    def _abort(self, stem: StemProcess, now: float) -> None:
        stem.state = StemState.ABORTING
        stem.deadline = now + LAST_WORDS
        stem.process.send_signal(signal.SIGABRT)

    def _retire(self, stem: StemProcess) -> None:
        if stem.state is StemState.LOADING:
            stem.process.send_signal(QUICK)
        elif stem.state is StemState.READY:
            with contextlib.suppress(OSError):
                stem.link.retire()
        else:
            return
        stem.state = StemState.RETIRED
        if stem.under_way is None:
            stem.deadline = None

    def _on_exit(self, stem: StemProcess) -> None:
        if stem not in self._all or (end := stem.process.reap()) is None:
            return
        if stem.link.fileno() >= 0:
            self._on_reports(stem)
            self._reactor.unwatch(stem.link.fileno())
        lost = stem.under_way
        if lost is not None and not self._crew.settle_fork(lost):
            self._crew.fork_failed(lost)
        self._reactor.unwatch(stem.process.fileno())
        stem.close()
        self._all.remove(stem)
        expected = stem.state is StemState.RETIRED or stem is self._coming
        logger.log(logging.DEBUG if expected else logging.WARNING, "%s %s", stem, end)
        if stem is self._coming:
            self._coming = None
            died = WorkerFailed(f"the process that imports the app {end} before the app was loaded")
            self._failed(stem.failure or died, announced=stem.announced)
        elif stem is self._former:
            self._former = None
        elif stem is self._current:
            self._current = None
            self._events.add("stem_died", generation=stem.generation, signal=end.signal_name, text=str(end))
            logger.warning("its workers go on without it, and another one loads the app")
            if stem.loaded_at is not None and time.monotonic() - stem.loaded_at >= _LIVED:
                self._early_deaths = 0
            if self._coming is None:
                self._mend()

    def _failed(self, failure: WorkerFailed, *, announced: bool) -> None:
        if announced:
            self._overseer.app_failed(failure)
        if self._current is not None or self._coming is not None or self._leaving:
            return
        problem = f"{failure.message}; the next try is in {self._mend():g} s"
        logger.error("no worker can be started: %s", problem, extra={"traceback": failure.traceback})

    def _mend(self) -> float:
        """Have another stem made: at once, and later and later where each dies early; returns in how many seconds."""
        delay = backoff(self._early_deaths, _FIRST_DELAY, _LONGEST_DELAY)
        self._early_deaths += 1
        self._mend_at = time.monotonic() + delay
        return delay
