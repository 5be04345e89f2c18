"""The arbiter: what the server as a whole is about, from its start to its stop, and who sees to what meanwhile.

One thread and one epoll; nothing here waits for anything else, and nothing of the user's is imported. Workers are
started and replaced by `crew`, reloaded by `reload`, judged by `housekeeping`.
"""

from __future__ import annotations

import gc
import logging
import signal
import time
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.boot import Boot
from rpcserver.arbiter.companion import Companions
from rpcserver.arbiter.control import ControlServer
from rpcserver.arbiter.crew import MAX_WORKERS, Crew
from rpcserver.arbiter.departure import PATIENCE, Departure
from rpcserver.arbiter.housekeeping import Freezer, Housekeeping
from rpcserver.arbiter.pending_connections import PendingConnections
from rpcserver.arbiter.phase import Phase
from rpcserver.arbiter.readiness import judge
from rpcserver.arbiter.reload import Reload
from rpcserver.system.errors import BootError, ServerError
from rpcserver.system.loop import Loop, Reactor
from rpcserver.system.process import reap_strays
from rpcserver.system.signals import SentSignals, SignalQueue
from rpcserver.workers.base import QUICK, REOPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcserver.arbiter.control import ControlSocket
    from rpcserver.arbiter.health import HealthServer, Judge
    from rpcserver.arbiter.readiness import Readiness
    from rpcserver.arbiter.registration import Registrar
    from rpcserver.arbiter.slots import WorkerProcess, WorkerSlot
    from rpcserver.system.channel import ArbiterEnd, ParentLink, WorkerFailed
    from rpcserver.system.log import LineHandler
    from rpcserver.system.loop import Part
    from rpcserver.system.process import Closeable
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.system.systemd import Notifier
    from rpcserver.system.tls import ServerTls

logger = logging.getLogger(__name__)

_REGISTRY_QUICK_SECONDS: Final = 0.5
_IF_SENT: Final = frozenset({signal.SIGTTIN, signal.SIGTTOU})
"""These count where a process has sent them: the kernel sends them for reasons of its own."""


class Arbiter:
    """Keeps a number of workers on a set of listeners; `status` and `control_service` read what it is made of.

    Args:
        health: makes what tells balancers how the server is.
        registration: makes the server's place in a registry.
        started: when the program started, in monotonic seconds.
    """

    def __init__(
        self,
        settings: ServerSettings,
        listeners: Sequence[Listener],
        logs: LineHandler,
        *,
        parent: ParentLink | None,
        control: ControlSocket | None,
        health: Callable[[Reactor, Judge], HealthServer] | None,
        registration: Registrar | None,
        notifier: Notifier,
        tls: ServerTls | None,
        started: float,
    ) -> None:
        self.settings = settings
        self.listeners = listeners
        self.logs = logs
        self.started = started
        self._parent = parent
        if tls is not None:
            for listener in listeners:
                listener.secure()
        self.phase = Phase.BOOTING
        self._failure: ServerError | None = None
        self._reactor = Reactor()
        self._signals = SignalQueue()
        self._sent_signals = SentSignals(_IF_SENT)
        patience = settings.read_timeout
        self._control = None if control is None else ControlServer(control, self._reactor, self, patience=patience)
        self._health = None if health is None else health(self._reactor, self._judge)
        self.companions = Companions(self._reactor, logs, self._not_for_companions)
        self._notifier = notifier
        self.crew = Crew(settings, listeners, logs, self._reactor, self._private, self, tls)
        self._pending = PendingConnections(settings, self.crew, listeners, self._drain_workers)
        self.registration = registration and registration(self.crew, self._judge, self.companions.tell)
        self._departure = Departure(settings.settle, self.registration, self._withdraw)
        self._boot = Boot(self.crew, settings, notifier, parent)
        self.reloads = Reload(self.crew, notifier, tls)
        self.housekeeping = Housekeeping(settings, self.crew, listeners, self._give_up)
        self.freezer = Freezer(self.crew)

    def run(self) -> None:
        """Serve until asked to stop.

        Raises:
            ServerError: it could not go on, or a `BootError` where a worker did not become ready as it started.
        """
        self._signals.catch(set(self._meanings()) - _IF_SENT)
        # A terminal sends signals to the workers too; known first, they make their deaths no surprise.
        self._reactor.watch(self._signals.fileno(), self._on_signals, first=True)
        self._reactor.watch(self._sent_signals.fileno(), self._on_signals)
        if self._parent is not None:
            self._reactor.watch(self._parent.fileno(), self._on_parent)
        # What is here before the forks is no garbage; a collection that looked at it would write to its pages,
        # and so end their being shared with the workers.
        gc.freeze()
        if self.registration is not None:
            self.companions.add(self.registration.duty)
        self._boot.begin()
        gc.enable()
        parts: tuple[Part | None, ...] = (
            self.crew,
            self.crew.stems,
            self._pending,
            self.freezer,
            self.housekeeping,
            self.companions,
            self._notifier,
            self._departure,
            self._health,
            self._control,
        )
        loop = Loop(self._reactor, [part for part in parts if part is not None], self._forgive)
        while not self.phase.stopping or self.crew.lives or self._pending.deadline or self._departure.awaits_registry:
            loop.run_once()
        self._pending.close()
        self.companions.stop()
        for server in (self._health, self._control):
            if server is not None:
                server.stop()
        self._signals.close()
        self._sent_signals.close()
        self._reactor.close()
        if self._failure is not None:
            raise self._failure
        logger.info("stopped")

    def drain(self) -> None:
        """Stop without loss: what has arrived is answered, what comes now is refused.

        Registries and balancers have time to hear of it, in which it serves as before; asked again, it stops sooner.
        """
        if self.phase.stopping:
            self.quit()
        elif self.phase is Phase.RUNNING and self._departure.begin():
            self.phase = Phase.SETTLING
        else:
            self._withdraw()

    def _withdraw(self) -> None:
        self._leave(Phase.DRAINING, PATIENCE)
        self._pending.take()

    def _drain_workers(self, seconds: float) -> None:
        for worker in self.crew:
            self.crew.dismiss(worker, seconds=seconds)
        logger.info("stopping: workers have %g s to finish", round(seconds, 1))

    def quit(self) -> None:
        """Stop now: workers have a second to leave."""
        number = signal.SIGKILL if self.phase is Phase.QUITTING else QUICK
        self._leave(Phase.QUITTING, 0.0 if number is signal.SIGKILL else _REGISTRY_QUICK_SECONDS)
        self.crew.close()
        for listener in self.listeners:
            listener.close()
        self._pending.close()
        self.crew.quit(number)
        if self._failure is None and number is QUICK:
            logger.info("stopping at once")

    def reload(self) -> int:
        """Replace all workers by new ones, which import the app anew, and return their generation."""
        if self.phase is Phase.RUNNING:
            self.reloads.begin()
        else:
            logger.warning("there is nothing to reload while the server is %s", self.phase.value)
        return self.reloads.generation

    def scale(self, workers: int) -> None:
        """Keep another number of workers, within what is possible."""
        if not self.phase.leaving:
            self.crew.scale(min(max(1, workers), MAX_WORKERS))
            self.reloads.step()
            self._look_for_completion()

    def find_worker(self, number: int) -> WorkerProcess | None:
        """Return the worker with that number that serves, or else one that starts or leaves."""
        of_number = (worker for worker in self.crew if worker.number == number and worker.pid)
        return min(of_number, key=lambda worker: worker is not worker.slot.worker, default=None)

    def release(self, worker: WorkerProcess) -> None:
        """Ask a worker to leave, and start another one in its place."""
        self.crew.release(worker)
        self.reloads.step()

    def send_signal(self, worker: WorkerProcess, number: signal.Signals) -> None:
        """Send a worker a signal."""
        self.crew.events.add("signalled", worker, signal=number.name.removeprefix("SIG"))
        worker.process.send_signal(number)

    def _judge(self) -> Readiness:
        crew, now = self.crew, time.monotonic_ns()
        return judge(self.phase, crew.board.readings(), self.housekeeping.liveness, wanted=len(crew.slots), now=now)

    def worker_ready(self, worker: WorkerProcess) -> None:
        """Go on with what waited for a worker to be ready; called by the crew."""
        self._reap_strays()
        if self.phase is Phase.BOOTING:
            self._boot.go_on()
            self._look_for_completion()
        self.reloads.step()

    def worker_wants_connection(self, channel: ArbiterEnd) -> None:
        """Give a draining worker a connection that waits, if any; called by the crew."""
        self._pending.hand_one_over(channel)

    def start_failed(self, slot: WorkerSlot, failure: WorkerFailed) -> bool:
        """Decide what follows from a worker that did not start; called by the crew."""
        if self.phase is not Phase.BOOTING:
            return self.phase.stopping or self.reloads.start_failed(slot, failure)
        if not self._boot.has_failed(slot, failure):
            self._look_for_completion()
            return False
        if self._failure is None:
            self._failure = BootError(failure.message, failure.traceback)
            self.quit()
        return True

    def app_loaded(self) -> None:
        """Go on with what waited for the app; called by the crew."""
        self.reloads.go_on()

    def app_failed(self, failure: WorkerFailed) -> None:
        """Give up what waited for the app; called by the crew."""
        if self.phase.stopping:
            self.crew.close()
        elif self.phase is Phase.BOOTING:
            self._failure = BootError(failure.message, failure.traceback)
            self.quit()
        else:
            self.reloads.app_failed(failure)

    def worker_left(self) -> None:
        """See to what a worker's end has kept from being seen; called by the crew."""
        self._reap_strays()
        self.reloads.step()

    def _meanings(self) -> dict[signal.Signals, Callable[[], object]]:
        return {
            signal.SIGTERM: self.drain,
            signal.SIGINT: self.quit,
            signal.SIGQUIT: self.quit,
            signal.SIGHUP: self._on_hangup,
            signal.SIGTTIN: lambda: self.scale(len(self.crew.slots) + 1),
            signal.SIGTTOU: lambda: self.scale(len(self.crew.slots) - 1),
            signal.SIGUSR1: self._reopen_logs,
            signal.SIGUSR2: lambda: logger.warning("SIGUSR2 was received and does nothing; SIGHUP reloads"),
            signal.SIGCHLD: self._reap_strays,
        }

    def _on_signals(self) -> None:
        for number in (*self._signals.receive(), *self._sent_signals.receive()):
            self._meanings()[number]()

    def _on_hangup(self) -> None:
        self._restore_control()
        self.reload()

    def _reopen_logs(self) -> None:
        self._restore_control()
        self.logs.reopen()
        self.crew.send_signal(REOPEN)
        self.companions.send_signal(REOPEN)

    def _restore_control(self) -> None:
        if self._control is not None:
            self._control.restore()

    def _reap_strays(self) -> None:
        if not self.crew.forking:
            reap_strays(self.crew.pids | self.companions.pids)

    def _on_parent(self) -> None:
        parent = self._parent
        if parent is None or parent.receive():
            return
        self._reactor.unwatch(parent.fileno())
        logger.info("the process that started this server has gone%s", "; the server stays" if parent.keep else "")
        if not parent.keep:
            self.quit()

    def _give_up(self, reason: str) -> None:
        """Stop, and fail: whoever supervises this process starts another one."""
        if self._failure is None and not self.phase.stopping:
            logger.error("%s: the server stops", reason)
            self._failure = ServerError(reason)
            self.drain()

    def _forgive(self, seconds: float) -> None:
        self.crew.forgive(seconds)
        self.housekeeping.forgive()

    def _leave(self, phase: Phase, registry_seconds: float) -> None:
        self._departure.end(registry_seconds)
        self._notifier.stopping()
        self.phase = phase

    def _look_for_completion(self) -> None:
        if self.phase is Phase.BOOTING and (serving := self._boot.count_serving()):
            self.phase = Phase.RUNNING
            addresses = [listener.address for listener in self.listeners]
            control = None if self._control is None else self._control.address
            self._boot.end(serving, addresses, control, time.monotonic() - self.started)
            if self.registration is not None:
                self.registration.tell()

    def _private(self) -> Iterator[Closeable]:
        """What workers must not hold, but for what the crew has."""
        # In a child, signals would else come to its parent's queue.
        yield from (self._signals, self._sent_signals, self._reactor)
        yield from (part for part in (self._parent, self._control, self._health) if part is not None)
        yield self.companions
        yield from self._pending

    def _not_for_companions(self) -> Iterator[Closeable]:
        for held in (*self._private(), *self.crew.holdings()):
            if held is not self.companions:
                yield held
        for listener in self.listeners:
            yield listener.socket
