"""The arbiter: what the server as a whole is about, from its start to its stop, and who sees to what meanwhile.

One thread and one epoll; nothing here waits for anything else, and nothing of the user's is imported. Workers are
started and replaced by `crew`, reloaded by `reload`, judged by `watchdog`.
"""

from __future__ import annotations

import gc
import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.announcement import announce
from rpcserver.arbiter.boot import Boot, BootError
from rpcserver.arbiter.companion import Companions
from rpcserver.arbiter.control import ControlServer
from rpcserver.arbiter.crew import Crew
from rpcserver.arbiter.departure import PATIENCE, Departure
from rpcserver.arbiter.health import HealthServer
from rpcserver.arbiter.housekeeping import Freezer, Housekeeping
from rpcserver.arbiter.memory_gauge import MemoryGauge
from rpcserver.arbiter.pending_connections import PendingConnections
from rpcserver.arbiter.phase import Phase
from rpcserver.arbiter.readiness import judge
from rpcserver.arbiter.reload import Reload
from rpcserver.arbiter.scaling import MAX_WORKERS, scale
from rpcserver.arbiter.server_signals import ServerSignals
from rpcserver.system.errors import ServerError
from rpcserver.system.loop import Loop, Reactor
from rpcserver.system.process import reap_strays
from rpcserver.system.systemd import Notifier
from rpcserver.workers.base import QUICK, REOPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcserver.arbiter.companion import Duty, Tell
    from rpcserver.arbiter.control import ControlSocket
    from rpcserver.arbiter.health import Judge
    from rpcserver.arbiter.readiness import Readiness
    from rpcserver.arbiter.registration import Registration
    from rpcserver.arbiter.slots import WorkerProcess, WorkerSlot
    from rpcserver.arbiter.status import Sample
    from rpcserver.system.channel import ArbiterEnd, ParentLink, WorkerFailed
    from rpcserver.system.log import LineHandler
    from rpcserver.system.process import Closeable
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.system.tls import ServerTls
    from rpcwire.control import Events, ServerStatus

logger = logging.getLogger(__name__)

_REGISTRY_QUICK_SECONDS: Final = 0.5


class Arbiter:
    """Keeps a number of workers on a set of listeners.

    Args:
        logs: where the process's log goes; workers put their numbers there.
        health: where balancers ask how the server is.
        registration: makes the server's place in a registry.
        started: when the program started, in monotonic seconds.
    """

    def __init__(
        self,
        settings: ServerSettings,
        listeners: Sequence[Listener],
        logs: LineHandler,
        *,
        parent: ParentLink | None = None,
        control: ControlSocket | None = None,
        health: Sequence[Listener] = (),
        duties: Callable[[Arbiter], Sequence[Duty]] | None = None,
        registration: Callable[[Crew, Judge, Tell], Registration] | None = None,
        notifier: Notifier | None = None,
        tls: ServerTls | None = None,
        started: float,
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._logs = logs
        self._parent = parent
        self._started = started
        if tls is not None:
            for listener in listeners:
                listener.secure()
        self._phase = Phase.BOOTING
        self._failure: ServerError | None = None
        self._reactor = Reactor()
        self._signals = ServerSignals(self._reactor, self._meanings())
        patience = settings.read_timeout
        self._control = None if control is None else ControlServer(control, self._reactor, self, patience=patience)
        self._health = HealthServer(health, self._reactor, self._judge)
        self._duties = duties
        self._companions = Companions(self._reactor, logs, self._not_for_companions)
        self._notifier = notifier or Notifier()
        self._crew = Crew(settings, listeners, logs, self._reactor, self._private, self, tls)
        self._pending = PendingConnections(settings, self._crew, listeners)
        self._registration = registration and registration(self._crew, self._judge, self._companions.tell)
        self._departure = Departure(settings.settle, self._registration, self._withdraw)
        self._boot = Boot(self._crew)
        self._reload = Reload(self._crew, self._notifier, tls)
        self._housekeeping = Housekeeping(settings, self._crew, listeners, self._give_up)
        self._freezer = Freezer(self._crew)
        self._gauge = MemoryGauge()

    @property
    def log_descriptor(self) -> int:
        """What the server's log is written to."""
        return self._logs.fileno()

    @property
    def leaving(self) -> bool:
        """Whether the server is on its way out."""
        return self._phase.leaving

    def run(self) -> None:
        """Serve until asked to stop.

        Raises:
            ServerError: it could not go on, or a `BootError` where a worker did not become ready as it started.
        """
        self._signals.catch()
        if self._parent is not None:
            self._reactor.watch(self._parent.fileno(), self._on_parent)
        # What is here before the forks is no garbage; a collection that looked at it would write to its pages,
        # and so end their being shared with the workers.
        gc.freeze()
        for duty in () if self._duties is None else self._duties(self):
            self._companions.add(duty)
        if self._registration is not None:
            self._companions.add(self._registration.duty)
        self._boot.begin()
        gc.enable()
        served = (self._health,) if self._control is None else (self._health, self._control)
        own = (self._pending, self._freezer, self._housekeeping, self._companions, self._notifier, self._departure)
        loop = Loop(self._reactor, (*self._crew.parts(), *own, *served), self._forgive)
        while not self._phase.stopping or self._crew.lives or self._pending.deadline or self._departure.awaits_registry:
            loop.run_once()
        self._pending.close()
        self._companions.stop()
        self._health.stop()
        if self._control is not None:
            self._control.stop()
        self._signals.close()
        self._reactor.close()
        if self._failure is not None:
            raise self._failure
        logger.info("stopped")

    def drain(self) -> None:
        """Stop without loss: what has arrived is answered, what comes now is refused.

        Registries and balancers have time to hear of it, in which it serves as before; asked again, it stops sooner.
        """
        if self._phase.stopping:
            self.quit()
        elif self._phase is Phase.RUNNING and self._departure.begin():
            self._phase = Phase.SETTLING
        else:
            self._withdraw()

    def _withdraw(self) -> None:
        self._leave(Phase.DRAINING, PATIENCE)
        self._pending.take(self._drain_workers)

    def _drain_workers(self, seconds: float) -> None:
        for worker in self._crew:
            self._crew.dismiss(worker, seconds=seconds)
        logger.info("stopping: workers have %g s to finish", round(seconds, 1))

    def quit(self) -> None:
        """Stop now: workers have a second to leave."""
        number = signal.SIGKILL if self._phase is Phase.QUITTING else QUICK
        self._leave(Phase.QUITTING, 0.0 if number is signal.SIGKILL else _REGISTRY_QUICK_SECONDS)
        self._crew.close()
        for listener in self._listeners:
            listener.close()
        self._pending.close()
        self._crew.quit(number)
        if self._failure is None and number is QUICK:
            logger.info("stopping at once")

    def reload(self) -> int:
        """Replace all workers by new ones, which import the app anew.

        Returns:
            The generation of the new ones.
        """
        if self._phase is Phase.RUNNING:
            self._reload.begin()
        else:
            logger.warning("there is nothing to reload while the server is %s", self._phase.value)
        return self._reload.generation

    def scale(self, workers: int) -> None:
        """Keep another number of workers, within what is possible."""
        if not self.leaving:
            scale(self._crew, min(max(1, workers), MAX_WORKERS))
            self._reload.step()
            self._look_for_completion()

    def find_worker(self, number: int) -> WorkerProcess | None:
        """Return the worker with that number that serves, or else one that starts or leaves."""
        of_number = (worker for worker in self._crew if worker.number == number and worker.pid)
        return min(of_number, key=lambda worker: worker is not worker.slot.worker, default=None)

    def release(self, worker: WorkerProcess) -> None:
        """Ask a worker to leave, and start another one in its place."""
        self._crew.release(worker)
        self._reload.step()

    def send_signal(self, worker: WorkerProcess, number: signal.Signals) -> None:
        """Send a worker a signal."""
        self._crew.events.add("signalled", worker, signal=number.name.removeprefix("SIG"))
        worker.process.send_signal(number)

    def freeze(self, worker: WorkerProcess, seconds: float) -> None:
        """Stop a worker for a while."""
        self._freezer.freeze(worker, seconds)

    def thaw(self, number: int) -> list[int]:
        """Let the workers with a number go on that were stopped for a while; returns their pids."""
        return self._freezer.thaw(number)

    def events(self, after: int) -> Events:
        """Tell what happened after an event, by its number."""
        return self._crew.events.since(after)

    def status(self) -> ServerStatus:
        """Describe the server."""
        from rpcserver.arbiter.status import server_status

        return server_status(
            self._settings,
            self._crew,
            self._reload,
            self._housekeeping,
            self._listeners,
            phase=self._phase.value,
            uptime=time.monotonic() - self._started,
            registration=self._registration,
            gauge=self._gauge,
        )

    def sample(self) -> Sample:
        """Count what the server has done, for metrics."""
        from rpcserver.arbiter.status import take_sample

        return take_sample(
            self._crew,
            self._listeners,
            model=self._settings.model,
            liveness=self._housekeeping.liveness,
        )

    def _judge(self) -> Readiness:
        crew, now = self._crew, time.monotonic_ns()
        return judge(self._phase, crew.board.readings(), self._housekeeping.liveness, wanted=len(crew.slots), now=now)

    def worker_ready(self, worker: WorkerProcess) -> None:
        """Go on with what waited for a worker to be ready; called by the crew."""
        self._reap_strays()
        if self._phase is Phase.BOOTING:
            self._boot.go_on()
            self._look_for_completion()
        self._reload.step()

    def worker_wants_connection(self, channel: ArbiterEnd) -> None:
        """Give a draining worker a connection that waits, if any; called by the crew."""
        self._pending.hand_one_over(channel)

    def start_failed(self, slot: WorkerSlot, failure: WorkerFailed) -> bool:
        """Decide what follows from a worker that did not start; called by the crew."""
        if self._phase is not Phase.BOOTING:
            return self._phase.stopping or self._reload.start_failed(slot, failure)
        if not self._boot.has_failed(slot, failure):
            self._look_for_completion()
            return False
        if self._failure is None:
            self._failure = BootError(failure.message, failure.traceback)
            self.quit()
        return True

    def app_loaded(self) -> None:
        """Go on with what waited for the app; called by the crew."""
        self._reload.go_on()

    def app_failed(self, failure: WorkerFailed) -> None:
        """Give up what waited for the app; called by the crew."""
        if self._phase.stopping:
            self._crew.close()
        elif self._phase is Phase.BOOTING:
            self._failure = BootError(failure.message, failure.traceback)
            self.quit()
        else:
            self._reload.app_failed(failure)

    def worker_left(self) -> None:
        """See to what a worker's end has kept from being seen; called by the crew."""
        self._reap_strays()
        self._reload.step()

    def _meanings(self) -> dict[signal.Signals, Callable[[], object]]:
        return {
            signal.SIGTERM: self.drain,
            signal.SIGINT: self.quit,
            signal.SIGQUIT: self.quit,
            signal.SIGHUP: self._on_hangup,
            signal.SIGTTIN: lambda: self.scale(len(self._crew.slots) + 1),
            signal.SIGTTOU: lambda: self.scale(len(self._crew.slots) - 1),
            signal.SIGUSR1: self._reopen_logs,
            signal.SIGUSR2: lambda: logger.warning("SIGUSR2 was received and does nothing; SIGHUP reloads"),
            signal.SIGCHLD: self._reap_strays,
        }

    def _on_hangup(self) -> None:
        self._restore_control()
        self.reload()

    def _reopen_logs(self) -> None:
        self._restore_control()
        self._logs.reopen()
        self._crew.send_signal(REOPEN)
        self._companions.send_signal(REOPEN)

    def _restore_control(self) -> None:
        if self._control is not None:
            self._control.restore()

    def _reap_strays(self) -> None:
        if not self._crew.forking:
            reap_strays(self._crew.pids | self._companions.pids)

    def _on_parent(self) -> None:
        parent = self._parent
        if parent is None or parent.receive():
            return
        self._reactor.unwatch(parent.fileno())
        if parent.keep:
            logger.info("the process that started this server has gone; the server stays")
        else:
            logger.info("the process that started this server has gone")
            self.quit()

    def _give_up(self, reason: str) -> None:
        """Stop, and fail: whoever supervises this process starts another one."""
        if self._failure is None and not self._phase.stopping:
            logger.error("%s: the server stops", reason)
            self._failure = ServerError(reason)
            self.drain()

    def _forgive(self, seconds: float) -> None:
        self._crew.forgive(seconds)
        self._housekeeping.forgive()

    def _leave(self, phase: Phase, registry_seconds: float) -> None:
        self._departure.end(registry_seconds)
        self._notifier.stopping()
        self._phase = phase

    def _look_for_completion(self) -> None:
        if self._phase is Phase.BOOTING and (serving := self._boot.count_serving()):
            self._phase = Phase.RUNNING
            self._boot.end()
            announce(
                self._settings,
                [listener.address for listener in self._listeners],
                None if self._control is None else self._control.address,
                (serving, len(self._crew.slots)),
                seconds=time.monotonic() - self._started,
                notifier=self._notifier,
                parent=self._parent,
            )
            if self._registration is not None:
                self._registration.tell()

    def _private(self) -> Iterator[Closeable]:
        """What workers must not hold, but for what the crew has."""
        yield self._signals
        yield self._reactor
        if self._parent is not None:
            yield self._parent
        if self._control is not None:
            yield self._control
        yield self._health
        yield self._companions
        yield from self._pending

    def _not_for_companions(self) -> Iterator[Closeable]:
        for held in (*self._private(), *self._crew.holdings()):
            if held is not self._companions:
                yield held
        for listener in self._listeners:
            yield listener.socket
