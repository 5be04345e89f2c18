"""Rounds, once a second or more often: who is stuck, who waits in vain, how busy all are, and who listens no more.

Times are nanoseconds of CLOCK_MONOTONIC, which stands still while the machine sleeps (CLOCK_BOOTTIME does not), so
that a suspended machine makes nobody late.
"""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.liveness import Liveness
from rpcserver.system.listen_queue import clients_waiting
from rpcserver.system.scoreboard import SlotState
from rpcserver.system.settings import processors
from rpcserver.workers.base import RECLAIM
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.slots import WorkerProcess
    from rpcserver.system.scoreboard import SlotReading
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)

_PERIOD: Final = 1.0
"""Seconds between two rounds, at most."""

_ROUNDS_PER_TIMEOUT: Final = 4
_LEAST_SILENCE: Final = 5.0  # seconds
_SHORTEST: Final = 0.05  # seconds between two rounds
_SECOND: Final = 1_000_000_000

_WARN_AGAIN: Final = 60 * _SECOND
_ASK_AGAIN: Final = 2 * _SECOND
_WINDOW: Final = 10 * _SECOND


class Housekeeping:
    """Goes its rounds, and keeps how busy workers are, and which of them serve.

    `give_up` is told why the server cannot go on.
    """

    def __init__(
        self, settings: ServerSettings, crew: Crew, listeners: Sequence[Listener], give_up: Callable[[str], None]
    ) -> None:
        self._crew = crew
        self._backlog = settings.backlog
        self._give_up = give_up
        self._listeners = listeners
        self._watchdog = Watchdog(settings)
        self._reclaim = Reclaim(settings)
        self.shares = _BusyShares()
        self.liveness = Liveness(settings.model)
        self._stalled: set[int] = set()
        self._period = min(self._watchdog.period, self._reclaim.period)
        self.deadline = time.monotonic() + self._period
        """When the next round is due, in monotonic seconds."""

    def forgive(self) -> None:
        """Count nobody's time from before now, since this process could not look."""
        now = time.monotonic_ns()
        self._watchdog.begin_anew(now)
        self.liveness.begin_anew(now)

    def run_due(self, now: float) -> None:
        """Go the round if it is due."""
        if now < self.deadline:
            return
        self.deadline = now + self._period
        crew = self._crew
        now_ns = time.monotonic_ns()
        readings = [(worker, crew.read(worker)) for worker in crew]
        for worker, reading in readings:
            problem = self._watchdog.judge(reading, round((worker.ready_since or now) * 1e9), now_ns)
            if problem is not None and worker.state in {SlotState.READY, SlotState.DRAINING}:
                logger.error("%s %s; its stack follows, and it is killed", worker, problem)
                crew.abort(worker)
        self.shares.sample([reading for _, reading in readings], now_ns)
        self._note_stalls(readings, now_ns)
        if crew.closing:
            return
        for listener in self._listeners:
            if listener.is_shut_down():
                self._restore(listener)
        waiting = sum(clients_waiting(listener.socket) for listener in self._listeners)
        for worker in self._reclaim.look(readings, waiting, now_ns):
            crew.events.add("reclaim", worker)
            worker.process.send_signal(RECLAIM)

    def _restore(self, listener: Listener) -> None:
        lost = f"{listener.address} was shut down (shutdown(2)) by the app or a library of it"
        if listener.listen_again(self._backlog):
            logger.error("%s and refused clients; it listens again", lost)
        else:
            self._give_up(f"{lost} and cannot listen again")

    def _note_stalls(self, readings: Sequence[tuple[WorkerProcess, SlotReading]], now: int) -> None:
        """Tell whose loop has begun to stand still, and whose goes round again."""
        stalled = {worker.pid for worker, reading in readings if self.liveness.is_stalled(reading, now)}
        for worker, reading in readings:
            if worker.pid in stalled - self._stalled:
                self._crew.events.add("stalled", worker)
                inside = f" in {reading.method!r}" if reading.running else ""
                logger.warning("%s is stalled%s: it has not looked for connections for a while", worker, inside)
            elif worker.pid in self._stalled - stalled and worker.state is SlotState.READY:
                self._crew.events.add("recovered", worker)
                logger.info("%s is not stalled any more", worker)
        self._stalled = stalled


class Watchdog:
    """Tells a handler that takes too long from a worker whose own loop has stopped."""

    def __init__(self, settings: ServerSettings) -> None:
        self._timeout = settings.timeout
        self._sync = not MODELS[settings.model].concurrent
        self._silence = max(settings.timeout, _LEAST_SILENCE)
        self._anew = 0
        # Seconds between two rounds, at most.
        self.period = min(_PERIOD, max(_SHORTEST, settings.timeout / _ROUNDS_PER_TIMEOUT or _PERIOD))

    def begin_anew(self, now: int) -> None:
        """Count nobody's time from before now."""
        self._anew = now

    def judge(self, reading: SlotReading, ready_since: int, now: int) -> str | None:
        """Say what is wrong with a worker, or return None where nothing is."""
        if not self._timeout:
            return None
        if self._sync and reading.running:
            ran = (now - max(reading.request_began, self._anew)) / _SECOND
            if ran > self._timeout:
                return f"has been in a call of {reading.method!r} for {ran:.1f} s, more than --timeout allows"
            return None
        if reading.state is not SlotState.READY or (self._sync and reading.connections):
            # In a connection a sync worker is bound by that connection's own deadlines.
            return None
        silent = (now - max(reading.tick, reading.active, ready_since, self._anew)) / _SECOND
        if silent <= self._silence:
            return None
        if reading.running:
            return f"has not looked for connections for {silent:.1f} s: {reading.method!r} lets no other thread run"
        return f"has not looked for connections for {silent:.1f} s though no call runs: its loop is dead"


class Reclaim:
    """Finds clients that wait while connections hold every worker, and the workers that are asked to let go."""

    def __init__(self, settings: ServerSettings) -> None:
        # Seconds between two rounds, at most, so that nobody waits much longer than connections may be idle.
        self.period = min(_PERIOD, max(_SHORTEST, settings.reclaim_idle / 2 or _PERIOD))
        self._sync = not MODELS[settings.model].concurrent
        self._most = 1 if self._sync else settings.max_connections
        self._idle = round(settings.reclaim_idle * _SECOND)
        self._idle_text = f"{settings.reclaim_idle:g} s" if self._idle else "never"
        self._waited_before = False
        self._quiet_until = 0
        self._asked: dict[int, tuple[int, int]] = {}
        self._held_since: dict[int, tuple[int, int]] = {}

    def look(self, workers: Sequence[tuple[WorkerProcess, SlotReading]], waiting: int, now: int) -> list[WorkerProcess]:
        """Find the workers that shall let a connection go, where so many clients wait to be accepted.

        They are those whose connection has been idle longest, or else in use, and no more than clients wait.
        """
        serving = [(worker, reading) for worker, reading in workers if reading.state is SlotState.READY]
        self._note_connections(serving, now)
        held = bool(serving) and all(reading.connections >= self._most for _, reading in serving)
        if not held or not waiting:
            self._waited_before = False
            return []
        chosen = self._idlest(serving, waiting, now)
        # One look may see a client that is accepted in the next moment.
        if self._waited_before:
            self._warn(len(serving), waiting, now)
        self._waited_before = True
        return chosen

    def _idlest(
        self, serving: Sequence[tuple[WorkerProcess, SlotReading]], waiting: int, now: int
    ) -> list[WorkerProcess]:
        if not self._idle:
            return []
        # Of many connections only their worker knows which are idle.
        idle = [
            pair for pair in serving if not self._sync or (not pair[1].running and now - pair[1].active > self._idle)
        ]
        idle.sort(key=lambda pair: pair[1].active)
        in_use = [pair for pair in serving if pair not in idle and now - self._held_since[pair[0].pid][1] > self._idle]
        asked = self._asked = {
            worker.pid: self._asked[worker.pid]
            for worker, reading in serving
            if worker.pid in self._asked and (not self._sync or self._asked[worker.pid][0] == reading.accepts)
        }
        # Whether a client in use of its connection heeds its end, its worker knows: who was asked in vain comes last.
        in_use.sort(key=lambda pair: (asked.get(pair[0].pid, (-1, 0))[1], self._held_since[pair[0].pid][1]))
        chosen: list[WorkerProcess] = []
        for worker, reading in (idle + in_use)[:waiting]:
            if worker.pid not in asked or now >= asked[worker.pid][1]:
                asked[worker.pid] = (reading.accepts, now + _ASK_AGAIN)
                chosen.append(worker)
        return chosen

    def _note_connections(self, serving: Sequence[tuple[WorkerProcess, SlotReading]], now: int) -> None:
        """Note since when each sync worker has had its connection."""
        before, self._held_since = self._held_since, {}
        for worker, reading in serving if self._sync else ():
            accepts, since = before.get(worker.pid, (-1, now))
            self._held_since[worker.pid] = (reading.accepts, since if accepts == reading.accepts else now)

    def _warn(self, workers: int, waiting: int, now: int) -> None:
        if now < self._quiet_until:
            return
        self._quiet_until = now + _WARN_AGAIN
        clients = "1 client waits" if waiting == 1 else f"{waiting} clients wait"
        if self._sync:
            cure = f"more --workers, --model thread or a shorter --reclaim-idle ({self._idle_text}) would help"
        elif workers < (best := processors()):
            cure = f"--workers {best}, one a processor, or more --max-connections would help"
        else:
            cure = "more --max-connections would help"
        held = "the only worker" if workers == 1 else f"all {workers} workers"
        logger.warning("%s, since connections hold %s: %s", clients, held, cure)


class _BusyShares:
    """What share of the last ten seconds or so each worker was busy; fed once a round."""

    def __init__(self) -> None:
        self._samples: dict[int, tuple[int, int]] = {}
        self._older: dict[int, tuple[int, int]] = {}
        self._turned = 0

    def sample(self, readings: Sequence[SlotReading], now: int) -> None:
        """Note how busy workers have been so far."""
        if now - self._turned >= _WINDOW // 2:
            self._older = self._samples
            self._samples = {reading.pid: (now, busy_ns(reading, now)) for reading in readings}
            self._turned = now

    def share(self, reading: SlotReading, now: int) -> float:
        """Return a worker's share since it was sampled, or since its start."""
        at, busy = self._older.get(reading.pid) or self._samples.get(reading.pid) or (reading.born, 0)
        return max(0.0, (busy_ns(reading, now) - busy) / max(1, now - at))


def busy_ns(reading: SlotReading, now: int) -> int:
    """How long a worker was in calls, the one that it is in included."""
    return reading.busy_ns + (max(0, now - reading.request_began) if reading.running else 0)


class Freezer:
    """Stops workers for a while, for drills: SIGSTOP now, SIGCONT when the time is over or the server is to stop.

    The arbiter keeps the time, so that a worker goes on whatever becomes of the client that had it frozen.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._frozen: dict[int, tuple[WorkerProcess, float]] = {}

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        if self._frozen and self._crew.closing:
            return 0.0
        return min((until for _, until in self._frozen.values()), default=None)

    def run_due(self, now: float) -> None:
        """Thaw those whose time is over."""
        for worker, until in tuple(self._frozen.values()):
            if now >= until or self._crew.closing or worker.state is SlotState.DEAD:
                self._thaw(worker)

    def freeze(self, worker: WorkerProcess, seconds: float) -> None:
        """Stop a worker for so many seconds from now, also where it is stopped already."""
        self._crew.events.add("frozen", worker, text=f"for {seconds:g} s")
        worker.process.send_signal(signal.SIGSTOP)
        self._frozen[worker.pid] = (worker, time.monotonic() + seconds)

    def thaw(self, number: int) -> list[int]:
        """Let all frozen workers with a number go on, and return their pids: while one is replaced there may be two."""
        found = [worker for worker, _ in self._frozen.values() if worker.number == number]
        return [worker.pid for worker in found if self._thaw(worker)]

    def _thaw(self, worker: WorkerProcess) -> bool:
        del self._frozen[worker.pid]
        # The descriptor of one that has died is closed, and may belong to something else.
        if worker.state is SlotState.DEAD:
            return False
        worker.process.send_signal(signal.SIGCONT)
        self._crew.events.add("thawed", worker)
        return True
