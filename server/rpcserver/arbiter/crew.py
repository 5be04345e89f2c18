"""The crew: every worker that lives, how it is started, replaced, asked to leave and made to.

When, and what the server as a whole is about, is decided in `rpcserver.arbiter.arbiter`. Nothing here waits.
"""

from __future__ import annotations

import itertools
import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.events import EventRing
from rpcserver.arbiter.slots import LAST_WORDS, WorkerProcess, WorkerSlot, number_of_workers
from rpcserver.arbiter.spawner import Spawner
from rpcserver.arbiter.succession import Succession, calls_in, cannot_start
from rpcserver.system.channel import NextWanted, Retiring, WorkerFailed, WorkerReady, WorkerStarted
from rpcserver.system.scoreboard import Scoreboard, SlotState
from rpcserver.workers.base import GRACEFUL
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rpcserver.arbiter.overseer import Overseer
    from rpcserver.arbiter.stems import Stems
    from rpcserver.system.channel import ArbiterEnd
    from rpcserver.system.log import LineHandler
    from rpcserver.system.loop import Reactor
    from rpcserver.system.process import ChildProcess, Closeable
    from rpcserver.system.scoreboard import SlotReading
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.system.tls import ServerTls

logger = logging.getLogger(__name__)

MAX_WORKERS: Final = 1000
"""The most workers that a server can be told to keep."""

_QUICK_SECONDS: Final = 1.0
_MOST_SLOTS: Final = 2048
_ROOM_FOR_EACH: Final = 4


class Crew:
    """Every worker of the server.

    `private` yields what workers must not hold of the arbiter's, the crew's own excluded.
    """

    def __init__(
        self,
        settings: ServerSettings,
        listeners: Sequence[Listener],
        logs: LineHandler,
        reactor: Reactor,
        private: Callable[[], Iterable[Closeable]],
        overseer: Overseer,
        tls: ServerTls | None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._private = private
        self._overseer = overseer
        self._spawner = Spawner(settings, listeners, logs, tls)
        self._living: dict[int, WorkerProcess] = {}
        """By their indexes on the scoreboard."""
        children = settings.max_children if MODELS[settings.model].forks else 0
        room = min(_MOST_SLOTS, _ROOM_FOR_EACH * settings.workers + 64) if children else _MOST_SLOTS
        self.board = Scoreboard(room, children, methods=settings.metrics is not None)
        self.slots = [WorkerSlot(number) for number in range(1, settings.workers + 1)]
        self.generation = 0
        self.closing = False
        self._hurried = False
        """Whether workers that do not leave in time are killed without last words."""
        self.events = EventRing()
        self._succession = Succession(self.slots, self.dismiss, self.events, overseer, settings.start_timeout)
        self.stems: Stems | None = None
        if settings.preload:
            # Few servers have any.
            from rpcserver.arbiter.stems import Stems

            limit = settings.start_timeout
            self.stems = Stems(self._spawner, self.board, reactor, self, overseer, self.events, self._others, limit)

    @property
    def lives(self) -> bool:
        """Whether there is any process yet."""
        return bool(self._living or self.stems)

    @property
    def forking(self) -> bool:
        """Whether there may be a worker whose process is not known yet."""
        if self.stems is None:
            return False
        return sum(not worker.pid for worker in self._living.values()) > self.stems.queued

    def __iter__(self) -> Iterator[WorkerProcess]:
        return iter(tuple(self._living.values()))

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        ends = (worker.deadline for worker in self._living.values())
        starts = (slot.retry_at for slot in self.slots)
        return min((due for due in itertools.chain(ends, starts) if due is not None), default=None)

    @property
    def pids(self) -> set[int]:
        """The processes of all workers and stems that are known."""
        stems = set() if self.stems is None else self.stems.pids
        return {worker.pid for worker in self._living.values()} | stems

    def holdings(self) -> Iterator[Closeable]:
        """What a new process must not hold of the crew's."""
        for worker in self._living.values():
            yield worker.process
            yield worker.channel
        if self.stems is not None:
            yield from self.stems.holdings()

    def read(self, worker: WorkerProcess) -> SlotReading:
        """What a worker's slot on the scoreboard says."""
        return self.board.read(worker.index)

    def start(self, slot: WorkerSlot) -> None:
        """Start a worker in a slot, or a successor of the one that serves there."""
        slot.retry_at = None
        if self.closing:
            return
        try:
            index = self.board.take(number=slot.number, generation=self.generation)
            try:
                process, channel = self._make(slot.number, index)
            except OSError:
                self.board.vacate(index)
                raise
        except OSError as error:
            self._succession.follow_failed_start(slot, cannot_start(slot, error.strerror))
            return
        worker = WorkerProcess(slot, index, self.generation, process, channel)
        slot.entered(worker)
        self._living[index] = worker
        if process.pid:
            self._watch_process(worker)
        self._reactor.watch(channel.fileno(), lambda: self._on_reports(worker))

    def _make(self, number: int, index: int) -> tuple[ChildProcess, ArbiterEnd]:
        if self.stems is not None:
            return self.stems.order(number, index, self.generation)
        return self._spawner.spawn(number, self.generation, self.board.slot(index), self._others())

    def _others(self) -> Iterable[Closeable]:
        """What a worker must not hold."""
        return itertools.chain(self._private(), self.holdings())

    def _watch_process(self, worker: WorkerProcess) -> None:
        limit = self._settings.start_timeout
        worker.deadline = time.monotonic() + limit if limit else None
        self.board.set_pid(worker.index, worker.pid)
        self.events.add("forked", worker)
        self._reactor.watch(worker.process.fileno(), lambda: self._on_exit(worker))

    def succeed(self, slot: WorkerSlot) -> None:
        """Start a successor of a slot's worker, or a worker where there is none, unless one starts already."""
        if slot.successor is None and (slot.worker is None or slot.worker.state is not SlotState.STARTING):
            self.start(slot)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to every process."""
        for worker in self:
            worker.process.send_signal(number)
        if self.stems is not None:
            self.stems.send_signal(number)

    def close(self) -> None:
        """Start nothing any more."""
        self.closing = True
        for slot in self.slots:
            slot.retry_at = None
        if self.stems is not None:
            self.stems.leave()

    def quit(self, number: signal.Signals) -> None:
        """Have every process leave within a second, or at once where the signal is SIGKILL."""
        self._hurried = True
        for worker in self:
            self.dismiss(worker, number, _QUICK_SECONDS)
        if self.stems is not None:
            self.stems.hurry(number)

    def dismiss(self, worker: WorkerProcess, number: signal.Signals = GRACEFUL, seconds: float | None = None) -> None:
        """Ask a worker to leave; it is made to after so many seconds, or the drain timeout where none are given.

        GRACEFUL and QUICK ask, SIGKILL does not.
        """
        if not worker.pid:
            self._give_up(worker)
            return
        if worker.state is SlotState.ABORTING and number is GRACEFUL:
            return
        seconds = self._settings.drain_timeout if seconds is None else seconds
        self._become(worker, SlotState.DRAINING, time.monotonic() + seconds)
        self.events.add("draining", worker)
        worker.process.send_signal(number)

    def abort(self, worker: WorkerProcess) -> None:
        """Have a worker write its stack to the log and die."""
        self._become(worker, SlotState.ABORTING, time.monotonic() + LAST_WORDS)
        self.events.add("aborting", worker)
        worker.process.send_signal(signal.SIGABRT)

    def release(self, worker: WorkerProcess) -> None:
        """Ask a worker to leave, and start another one in its place at once."""
        slot = worker.slot
        had_place = slot.left(worker)
        self.dismiss(worker)
        if had_place and slot.worker is None and not self.closing:
            self.start(slot)

    def scale(self, workers: int) -> None:
        """Keep another number of workers: start more, or ask the oldest idle ones to leave."""
        before = len(self.slots)
        if workers == before:
            return
        logger.info("scaling from %d to %s", before, number_of_workers(workers))
        self.events.add("scaling", text=f"from {before} to {number_of_workers(workers)}")
        taken = {slot.number for slot in self.slots}
        free = (number for number in itertools.count(1) if number not in taken)
        for _ in range(workers - before):
            slot = WorkerSlot(next(free))
            self.slots.append(slot)
            self.start(slot)
        self.slots.sort(key=lambda slot: slot.number)
        for slot in sorted(self.slots, key=self._reluctance)[: max(0, before - workers)]:
            self._remove(slot)

    def _reluctance(self, slot: WorkerSlot) -> tuple[int, int, int]:
        """What speaks against taking a slot away: a running call, connections, and youth."""
        if slot.worker is None:
            return (-1, 0, 0)
        reading = self.read(slot.worker)
        return (reading.running, reading.connections, reading.born)

    def _remove(self, slot: WorkerSlot) -> None:
        self.slots.remove(slot)
        slot.retry_at = None
        for worker in (slot.worker, slot.successor):
            if worker is not None:
                self.dismiss(worker)
        slot.worker = slot.successor = None

    def forgive(self, seconds: float) -> None:
        """Move every deadline, after the arbiter itself could not run for that long."""
        for process in (*self._living.values(), *(self.stems or ())):
            if process.deadline is not None:
                process.deadline += seconds

    def run_due(self, now: float) -> None:
        """See to the deadlines that have passed."""
        for slot in tuple(self.slots):
            if slot.retry_at is not None and now >= slot.retry_at:
                self.start(slot)
        for worker in self:
            if worker.deadline is not None and now >= worker.deadline:
                self._on_deadline(worker)

    def _become(self, worker: WorkerProcess, state: SlotState, deadline: float | None) -> None:
        worker.state = state
        worker.deadline = deadline
        self.board.set_state(worker.index, state)

    def _on_reports(self, worker: WorkerProcess, problem: str | None = None) -> None:
        try:
            while worker.state is not SlotState.DEAD and (report := worker.channel.receive()) is not None:
                match report:
                    case WorkerStarted(pid):
                        self._on_started(worker, pid)
                    case WorkerReady(loaded):
                        worker.loaded = loaded
                        self._on_ready(worker)
                    case WorkerFailed():
                        worker.failure = report
                    case NextWanted():
                        self._overseer.worker_wants_connection(worker.channel)
                    case Retiring(reason):
                        self._on_retiring(worker, reason)
        except EOFError:
            self._reactor.unwatch(worker.channel.fileno())
            if not worker.pid and not (self.stems is not None and self.stems.has_under_way(worker.index)):
                unknown = WorkerFailed(f"worker {worker.number} has ended before it was known")
                self._on_fork_failed(worker, unknown if problem is None else cannot_start(worker.slot, problem))

    def _on_started(self, worker: WorkerProcess, pid: int) -> None:
        try:
            worker.process.attach(pid)
        except OSError as error:
            self._on_fork_failed(worker, cannot_start(worker.slot, error.strerror))
            return
        self._watch_process(worker)
        worker.channel.acknowledge()

    def fork_failed(self, index: int, problem: str | None = None) -> None:
        """See to a worker that was not forked; called by the stems."""
        worker = self._living.get(index)
        if worker is not None:
            self._on_fork_failed(worker, None if problem is None else cannot_start(worker.slot, problem))

    def settle_fork(self, index: int, problem: str | None = None) -> bool:
        """Read what a worker has said so far, and return whether it was forked; called by the stems."""
        worker = self._living.get(index)
        if worker is None:
            return True
        self._on_reports(worker, problem)
        return bool(worker.pid)

    def _on_fork_failed(self, worker: WorkerProcess, failure: WorkerFailed | None) -> None:
        """Start another one in its place; now where there is no failure, since its stem alone is to blame."""
        if self._give_up(worker) and not self.closing:
            if failure is None:
                self.start(worker.slot)
            else:
                self._succession.follow_failed_start(worker.slot, failure)
        self._overseer.worker_left()

    def _give_up(self, worker: WorkerProcess) -> bool:
        """Forget a worker that was not forked yet, or will not know that it was; returns whether it had a place."""
        self._let_go(worker)
        return worker.slot.left(worker)

    def _let_go(self, worker: WorkerProcess) -> SlotReading:
        self._reactor.unwatch(worker.channel.fileno())
        worker.process.close()
        worker.channel.close()
        worker.state = SlotState.DEAD
        del self._living[worker.index]
        if self.stems is not None:
            self.stems.left(worker.index)
        return self.board.vacate(worker.index)

    def _on_ready(self, worker: WorkerProcess) -> None:
        if worker.state is not SlotState.STARTING:
            return
        worker.ready_since = time.monotonic()
        self._become(worker, SlotState.READY, None)
        self.events.add("ready", worker)
        if self.stems is not None:
            self.stems.prove(worker.generation)
        slot = worker.slot
        if worker is slot.successor and (former := slot.promote()) is not None:
            self.dismiss(former)
        logger.log(logging.INFO if slot.short else logging.DEBUG, "worker %d is ready", worker.number)
        slot.short = False
        self._overseer.worker_ready(worker)

    def _on_retiring(self, worker: WorkerProcess, reason: str) -> None:
        if self.closing or worker.retiring or worker is not worker.slot.worker:
            return
        worker.retiring = True
        logger.info("%s %s, and is replaced", worker, reason)
        self.events.add("retiring", worker, text=reason)
        self.succeed(worker.slot)

    def _on_deadline(self, worker: WorkerProcess) -> None:
        worker.deadline = None
        if worker.state is SlotState.STARTING:
            limit = self._settings.start_timeout
            logger.error("worker %d was not ready after %g s, and is killed", worker.number, limit)
        elif worker.state is SlotState.DRAINING:
            logger.warning("%s did not stop in time, and is killed", worker)
            if not self._hurried:
                self.abort(worker)
                return
        worker.process.send_signal(signal.SIGKILL)

    def _on_exit(self, worker: WorkerProcess) -> None:
        if self._living.get(worker.index) is not worker or (end := worker.process.reap()) is None:
            return
        self._on_reports(worker)
        self._reactor.unwatch(worker.process.fileno())
        state, reading = worker.state, self._let_go(worker)
        had_place = worker.slot.left(worker)
        died = end.by_signal or not (end.clean or state is SlotState.STARTING)
        if died:
            self.board.count_death(reading.running)
            if reading.running:
                logger.warning("%s was in %s", worker, calls_in(reading))
        lost = reading.running if died else 0
        self.events.add("left" if end.clean else "died", worker, signal=end.signal_name, lost=lost, text=str(end))
        if self.closing or not had_place:
            level = logging.DEBUG if end.clean or self._hurried else logging.WARNING
            logger.log(level, "%s %s", worker, end)
        elif state is SlotState.STARTING:
            self._succession.follow_early_end(worker, end)
        else:
            self._succession.follow(worker, end)
        self._overseer.worker_left()
