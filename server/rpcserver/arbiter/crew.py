"""The crew: every worker that lives, how it is started, replaced, asked to leave and made to.

When, and what the server as a whole is about, is decided in `rpcserver.arbiter.arbiter`. Nothing here waits.
"""

from __future__ import annotations

import itertools
import logging
import signal
import time
from typing import TYPE_CHECKING, Final, Protocol

from rpcserver.arbiter.events import EventRing
from rpcserver.arbiter.slots import WorkerProcess, WorkerSlot
from rpcserver.arbiter.spawner import Spawner
from rpcserver.system.channel import NextWanted, Retiring, WorkerFailed, WorkerReady
from rpcserver.system.log import RateLimit
from rpcserver.system.scoreboard import Scoreboard, SlotState
from rpcserver.workers.base import GRACEFUL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rpcserver.system.channel import ArbiterEnd
    from rpcserver.system.log import LineHandler
    from rpcserver.system.loop import Reactor
    from rpcserver.system.process import Closeable, Exit
    from rpcserver.system.scoreboard import SlotReading
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.system.tls import ServerTls

logger = logging.getLogger(__name__)

LAST_WORDS: Final = 1.0
"""Seconds that a worker has to write its stack to the log, before it is killed."""

_MOST_SLOTS: Final = 2048
_ROOM_FOR_EACH: Final = 4
_SHORTAGE_AGAIN: Final = 60.0


class Overseer(Protocol):
    """Whom the crew tells what happens, before it is logged or acted upon here."""

    def worker_ready(self, worker: WorkerProcess) -> None:
        """A worker serves."""

    def worker_wants_connection(self, channel: ArbiterEnd) -> None:
        """A draining worker is free for a connection that waits."""

    def start_failed(self, slot: WorkerSlot, failure: WorkerFailed) -> bool:
        """A worker did not get ready; returns whether that is dealt with, and no other one shall be started."""

    def worker_left(self, worker: WorkerProcess, end: Exit) -> None:
        """A worker has ended, and whatever follows from it has been seen to."""


class Crew:
    """Every worker of the server.

    Args:
        logs: where the process's log goes.
        private: yields what workers must not hold of the arbiter's, the crew's own excluded.
        tls: the certificate, where TLS is spoken.

    Attributes:
        hurried: whether workers that do not leave in time are killed without last words.
    """

    def __init__(
        self,
        settings: ServerSettings,
        listeners: Sequence[Listener],
        logs: LineHandler,
        reactor: Reactor,
        private: Callable[[], Iterable[Closeable]],
        overseer: Overseer,
        tls: ServerTls | None = None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._private = private
        self._overseer = overseer
        self._spawner = Spawner(settings, listeners, logs, tls)
        self._living: dict[int, WorkerProcess] = {}
        self._failures: dict[int, WorkerFailed] = {}
        children = settings.max_children if settings.model == "fork" else 0
        room = min(_MOST_SLOTS, _ROOM_FOR_EACH * settings.workers + 64) if children else _MOST_SLOTS
        self.board = Scoreboard(room, children)
        self.slots = [WorkerSlot(number) for number in range(1, settings.workers + 1)]
        self.generation = 0
        self.closing = False
        self.hurried = False
        self.events = EventRing()
        self._shortage = RateLimit(_SHORTAGE_AGAIN)

    def __len__(self) -> int:
        return len(self._living)

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
        """The processes of all workers."""
        return set(self._living)

    def holdings(self) -> Iterator[Closeable]:
        """What a new process must not hold of the crew's."""
        for worker in self._living.values():
            yield worker.process
            yield worker.channel

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
                process, channel = self._spawner.spawn(
                    slot.number,
                    self.generation,
                    self.board.slot(index),
                    itertools.chain(self._private(), self.holdings()),
                )
            except OSError:
                self.board.vacate(index)
                raise
        except OSError as error:
            problem = f"worker {slot.number} cannot be started: {error.strerror}"
            self._start_failed(slot, WorkerFailed(problem, shortage=True))
            return
        self.board.set_pid(index, process.pid)
        limit = self._settings.start_timeout
        worker = WorkerProcess(
            slot, index, self.generation, process, channel, time.monotonic() + limit if limit else None
        )
        slot.entered(worker)
        self._living[process.pid] = worker
        self.events.add("forked", worker)
        self._reactor.watch(process.fileno(), lambda: self._on_exit(worker))
        self._reactor.watch(channel.fileno(), lambda: self._on_reports(worker))

    def succeed(self, slot: WorkerSlot) -> None:
        """Start a successor of a slot's worker, or a worker where there is none, unless one starts already."""
        if slot.successor is None and (slot.worker is None or slot.worker.state is not SlotState.STARTING):
            self.start(slot)

    def dismiss(self, worker: WorkerProcess, number: signal.Signals = GRACEFUL, seconds: float | None = None) -> None:
        """Ask a worker to leave; it is made to when the time is over.

        GRACEFUL and QUICK ask, SIGKILL does not. The drain timeout counts where no seconds are given.
        """
        seconds = self._settings.drain_timeout if seconds is None else seconds
        if worker.state is SlotState.ABORTING and number is GRACEFUL:
            return
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

    def remove(self, slot: WorkerSlot) -> None:
        """Give up a slot; its worker is asked to leave."""
        self.slots.remove(slot)
        slot.retry_at = None
        for worker in (slot.worker, slot.successor):
            if worker is not None:
                self.dismiss(worker)
        slot.worker = slot.successor = None

    def forgive(self, seconds: float) -> None:
        """Move every deadline, after the arbiter itself could not run for that long."""
        for worker in self._living.values():
            if worker.deadline is not None:
                worker.deadline += seconds

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

    def _on_reports(self, worker: WorkerProcess) -> None:
        try:
            while (report := worker.channel.receive()) is not None:
                match report:
                    case WorkerReady(loaded):
                        worker.loaded = loaded
                        self._on_ready(worker)
                    case WorkerFailed():
                        self._failures[worker.pid] = report
                    case NextWanted():
                        self._overseer.worker_wants_connection(worker.channel)
                    case Retiring():
                        self._on_retiring(worker, report.reason)
        except EOFError:
            self._reactor.unwatch(worker.channel.fileno())

    def _on_ready(self, worker: WorkerProcess) -> None:
        if worker.state is not SlotState.STARTING:
            return
        worker.ready_since = time.monotonic()
        self._become(worker, SlotState.READY, None)
        self.events.add("ready", worker)
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
        match worker.state:
            case SlotState.STARTING:
                logger.error("worker %d was not ready after %g s, and is killed", worker.number, self._start_limit)
                worker.process.send_signal(signal.SIGKILL)
            case SlotState.DRAINING:
                logger.warning("%s did not stop in time, and is killed", worker)
                if self.hurried:
                    worker.process.send_signal(signal.SIGKILL)
                else:
                    self.abort(worker)
            case _:
                worker.process.send_signal(signal.SIGKILL)

    @property
    def _start_limit(self) -> float:
        return self._settings.start_timeout

    def _on_exit(self, worker: WorkerProcess) -> None:
        if worker.pid not in self._living or (end := worker.process.reap()) is None:
            return
        self._on_reports(worker)
        self._reactor.unwatch(worker.process.fileno())
        self._reactor.unwatch(worker.channel.fileno())
        worker.process.close()
        worker.channel.close()
        del self._living[worker.pid]
        reading = self.board.vacate(worker.index)
        had_place = worker.slot.left(worker) and worker.slot in self.slots
        state, worker.state = worker.state, SlotState.DEAD
        died = end.by_signal or not (end.clean or state is SlotState.STARTING)
        if died:
            self.board.count_death(reading.running)
            if reading.running:
                logger.warning("%s was in %s", worker, _calls(reading))
        lost = reading.running if died else 0
        self.events.add("left" if end.clean else "died", worker, signal=end.signal_name, lost=lost, text=str(end))
        failure = self._failures.pop(worker.pid, None)
        if self.closing or not had_place:
            level = logging.DEBUG if end.clean or self.hurried else logging.WARNING
            logger.log(level, "%s %s", worker, end)
        elif state is SlotState.STARTING:
            self._on_early_end(worker, end, failure)
        else:
            self._replace(worker, end)
        self._overseer.worker_left(worker, end)

    def _on_early_end(self, worker: WorkerProcess, end: Exit, failure: WorkerFailed | None) -> None:
        if failure is None and worker.deadline is None and self._start_limit:
            problem = f"worker {worker.number} was not ready after {self._start_limit:g} s"
            advice = "see what the app does when it starts, or raise --start-timeout"
            failure = WorkerFailed(f"{problem}: {advice}")
        elif failure is None:
            failure = WorkerFailed(f"worker {worker.number} {end} before it was ready")
        self._start_failed(worker.slot, failure, worker, end)

    def _start_failed(
        self,
        slot: WorkerSlot,
        failure: WorkerFailed,
        worker: WorkerProcess | None = None,
        end: Exit | None = None,
    ) -> None:
        known = any(found.short for found in self.slots)
        slot.short = failure.shortage
        former = slot.worker if slot.serves else None
        if failure.shortage and former is not None and any(found.serves for found in self.slots if found is not slot):
            self._say_shortage(failure, "workers leave before others start in their place", known=known)
            self.dismiss(former)
            return
        if self._overseer.start_failed(slot, failure):
            return
        delay = slot.retry(time.monotonic())
        problem = failure.message
        self.events.add("start_failed", worker, text=f"{problem}; the next try is in {delay:g} s")
        if failure.shortage:
            self._say_shortage(failure, "the server goes on with those that it has, and tries again", known=known)
        elif worker is not None:
            logger.error("worker %d did not start: %s", slot.number, problem, extra={"traceback": failure.traceback})
            logger.warning("%s %s; a new one starts in %g s", worker, end, delay)

    def _say_shortage(self, failure: WorkerFailed, consequence: str, *, known: bool) -> None:
        if not known and self._shortage.allows():
            logger.warning("%s: %s", failure.message, consequence)

    def _replace(self, worker: WorkerProcess, end: Exit) -> None:
        slot = worker.slot
        level = logging.INFO if end.clean else logging.WARNING
        if slot.worker is not None:
            logger.log(level, "%s %s; a new one has been started", worker, end)
            return
        now = time.monotonic()
        delay = slot.retry(now, ready=worker.ready_since is not None, lived=worker.lived(now))
        if delay:
            self.events.add("delayed", worker, text=f"a new one starts in {delay:g} s")
        when = f"in {delay:g} s" if delay else "at once"
        logger.log(level, "%s %s; a new one starts %s", worker, end, when)


def _calls(reading: SlotReading) -> str:
    if reading.running == 1:
        return f"a call of {reading.method!r}, which is lost"
    return f"{reading.running} calls, which are lost; one was of {reading.method!r}"
