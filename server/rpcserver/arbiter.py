"""The arbiter: forks workers, watches over them, replaces those that die, and stops them all.

One thread and one epoll; nothing here waits for anything else, and nothing of the user's is imported. What
a worker does is the business of `rpcserver.workers`, what a slot knows that of `rpcserver.slots`.
"""

from __future__ import annotations

import enum
import gc
import logging
import os
import signal
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from .channel import NextWanted, WorkerFailed, WorkerReady
from .errors import ServerError
from .link import Ready
from .poller import Poller
from .process import allow_descriptors, reap_strays
from .signals import SignalQueue
from .slots import Slot, SlotState
from .spawner import Spawner
from .workers.base import GRACEFUL, QUICK

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from .channel import ArbiterEnd
    from .config import Settings
    from .link import Link
    from .log import LineHandler
    from .process import Exit
    from .sockets import Listener
    from .spawner import Closeable

logger = logging.getLogger(__name__)

_QUICK_SECONDS: Final = 1.0
_APART: Final = 0.05
_GENERATION: Final = 0
_UNSUPPORTED: Final = frozenset({signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU})
_CAUGHT: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD}) | _UNSUPPORTED


class BootError(ServerError):
    """The workers did not start.

    Attributes:
        message: why, and what to do about it.
        traceback: the frames of the user's own code, where it is to blame.
    """

    def __init__(self, message: str, traceback: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.traceback = traceback


class Phase(enum.Enum):
    """What the arbiter is about."""

    BOOTING = "booting"
    RUNNING = "running"
    DRAINING = "draining"
    QUITTING = "quitting"


class Arbiter:
    """Keeps a number of workers on a set of listeners.

    Args:
        settings: the server's settings.
        listeners: what the workers accept connections from; closed when the server stops.
        logs: where the process's log goes; workers put their numbers there.
        link: the way to the process that started the server, if there is one.
        started: when the program started, in monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[Listener],
        logs: LineHandler,
        *,
        link: Link | None = None,
        started: float,
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._link = link
        self._started = started
        self._phase = Phase.BOOTING
        self._boot_error: BootError | None = None
        self._spawner = Spawner(settings, listeners, logs)
        self._slots = [Slot(number) for number in range(1, settings.workers + 1)]
        self._waiting: deque[socket.socket] = deque()
        self._poller = Poller()
        self._signals = SignalQueue()

    def run(self) -> None:
        """Serve until asked to stop.

        Raises:
            BootError: a worker did not become ready when the server started.
        """
        self._signals.catch(_CAUGHT)
        # A terminal sends signals to the workers too; known first, they make their deaths no surprise.
        self._poller.watch(self._signals.fileno(), self._on_signals, first=True)
        if self._link is not None:
            self._poller.watch(self._link.fileno(), self._on_link)
        # What is here before the forks is no garbage; a collection that looked at it would write to its pages,
        # and so end their being shared with the workers.
        gc.freeze()
        self._start_first_workers()
        gc.enable()
        while self._phase in {Phase.BOOTING, Phase.RUNNING} or self._living():
            self._turn()
        self._close_waiting()
        self._signals.close()
        self._poller.close()
        if self._boot_error is not None:
            raise self._boot_error
        logger.info("stopped")

    def drain(self) -> None:
        """Stop without loss: what has arrived is answered, what comes now is refused."""
        if self._phase in {Phase.DRAINING, Phase.QUITTING}:
            self.quit()
            return
        self._phase = Phase.DRAINING
        for listener in self._listeners:
            listener.withdraw()
        allow_descriptors(self._settings.backlog * len(self._listeners))
        for listener in self._listeners:
            self._waiting.extend(listener.take_queued())
            listener.close()
        self._ask_all(GRACEFUL, self._settings.drain_timeout)
        logger.info("stopping: workers have %g s to finish", self._settings.drain_timeout)

    def quit(self) -> None:
        """Stop now: workers have a second to leave."""
        if self._phase is Phase.QUITTING:
            self._ask_all(signal.SIGKILL, _QUICK_SECONDS)
            return
        self._phase = Phase.QUITTING
        for listener in self._listeners:
            listener.close()
        self._close_waiting()
        self._ask_all(QUICK, _QUICK_SECONDS)
        if self._boot_error is None:
            logger.info("stopping at once")

    def _turn(self) -> None:
        """Wait for one event or deadline, and see to all that are due."""
        deadlines = [slot.deadline for slot in self._slots if slot.deadline is not None]
        self._poller.wait(max(0.0, min(deadlines) - time.monotonic()) if deadlines else None)
        now = time.monotonic()
        for slot in self._slots:
            if slot.deadline is not None and now >= slot.deadline:
                self._on_deadline(slot)

    def _on_signals(self) -> None:
        for number in self._signals.receive():
            self._on_signal(number)

    def _on_signal(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGTERM:
                self.drain()
            case signal.SIGINT | signal.SIGQUIT:
                self.quit()
            case signal.SIGCHLD:
                reap_strays({slot.process.pid for slot in self._living() if slot.process is not None})
            case _:
                logger.warning("%s was received and means nothing to this server", number.name)

    def _on_link(self) -> None:
        link = self._link
        if link is None or link.receive():
            return
        self._poller.unwatch(link.fileno())
        if link.keep:
            logger.info("the process that started this server has gone; the server stays")
        else:
            logger.info("the process that started this server has gone")
            self.quit()

    def _living(self) -> list[Slot]:
        return [slot for slot in self._slots if slot.process is not None]

    def _ask_all(self, number: signal.Signals, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for slot in self._slots:
            slot.deadline = None
            if slot.process is not None:
                slot.asked_to_stop(deadline)
                slot.process.send_signal(number)

    def _close_waiting(self) -> None:
        if self._waiting:
            logger.warning("%d connections that waited for a worker were not served", len(self._waiting))
        while self._waiting:
            self._waiting.popleft().close()

    def _start_first_workers(self) -> None:
        """Start one worker per processor now and the others as these become ready, so that the first call is
        answered early; or a little apart, where loading the app is mostly waiting.
        """
        processors = len(os.sched_getaffinity(0))
        now = time.monotonic()
        for slot in self._slots[processors:]:
            slot.deadline = now + (slot.number - processors) * _APART
        for slot in self._slots[:processors]:
            self._start_worker(slot)

    def _start_worker(self, slot: Slot) -> None:
        now = time.monotonic()
        try:
            process, channel = self._spawner.spawn(slot.number, _GENERATION, self._private())
        except OSError as error:
            problem = f"worker {slot.number} cannot be started: {error.strerror}"
            delay = slot.died(now)
            if self._phase is Phase.BOOTING:
                self._fail_boot(problem)
            else:
                logger.error("%s; the next try is in %g s", problem, delay)
            return
        limit = self._settings.start_timeout
        slot.started(process, channel, now + limit if limit else None)
        self._poller.watch(process.fileno(), lambda: self._on_exit(slot))
        self._poller.watch(channel.fileno(), lambda: self._on_reports(slot))

    def _private(self) -> Iterator[Closeable]:
        """What workers must not hold."""
        yield self._signals
        yield self._poller
        if self._link is not None:
            yield self._link
        for slot in self._slots:
            if slot.process is not None:
                yield slot.process
            if slot.channel is not None:
                yield slot.channel

    def _on_reports(self, slot: Slot) -> None:
        channel = slot.channel
        if channel is None:
            return
        try:
            while (report := channel.receive()) is not None:
                match report:
                    case WorkerReady():
                        self._on_ready(slot)
                    case WorkerFailed():
                        self._on_failed(slot, report)
                    case NextWanted():
                        self._hand_over(channel)
        except EOFError:
            self._poller.unwatch(channel.fileno())

    def _on_ready(self, slot: Slot) -> None:
        if slot.state is not SlotState.STARTING:
            return
        slot.became_ready(time.monotonic())
        logger.debug("worker %d is ready", slot.number)
        if self._phase is not Phase.BOOTING:
            return
        if all(slot.state is SlotState.READY for slot in self._slots):
            self._phase = Phase.RUNNING
            self._announce()
        elif following := next((slot for slot in self._slots if slot.is_unused), None):
            self._start_worker(following)

    def _announce(self) -> None:
        settings = self._settings
        addresses = [listener.address for listener in self._listeners]
        logger.info(
            "listening on %s, %d workers (%s), pid %d",
            ", ".join(addresses),
            settings.workers,
            settings.model,
            os.getpid(),
        )
        if self._link is not None:
            seconds = round(time.monotonic() - self._started, 3)
            self._link.send(Ready(os.getpid(), addresses, settings.workers, settings.model, settings.app, seconds))

    def _on_failed(self, slot: Slot, report: WorkerFailed) -> None:
        if self._phase is Phase.BOOTING:
            self._fail_boot(report.message, report.traceback)
        elif self._phase is Phase.RUNNING:
            logger.error(
                "worker %d did not start: %s", slot.number, report.message, extra={"traceback": report.traceback}
            )

    def _fail_boot(self, message: str, traceback: str | None = None) -> None:
        if self._boot_error is None:
            self._boot_error = BootError(message, traceback)
            self.quit()

    def _hand_over(self, channel: ArbiterEnd) -> None:
        if not self._waiting:
            channel.dismiss()
        elif channel.hand_over(self._waiting[0]):
            self._waiting.popleft().close()

    def _on_deadline(self, slot: Slot) -> None:
        slot.deadline = None
        process = slot.process
        if process is None:
            self._start_worker(slot)
            return
        if slot.state is SlotState.STARTING:
            problem = f"worker {slot.number} was not ready after {self._settings.start_timeout:g} s"
            logger.error("%s, and is killed", problem)
            if self._phase is Phase.BOOTING:
                self._fail_boot(f"{problem}: see what the app does when it starts, or raise --start-timeout")
        else:
            logger.warning("worker %d (pid %d) did not stop in time, and is killed", slot.number, process.pid)
        process.send_signal(signal.SIGKILL)

    def _on_exit(self, slot: Slot) -> None:
        process, channel, state = slot.process, slot.channel, slot.state
        if process is None or channel is None or (end := process.reap()) is None:
            return
        self._on_reports(slot)
        self._poller.unwatch(process.fileno())
        self._poller.unwatch(channel.fileno())
        process.close()
        channel.close()
        delay = slot.died(time.monotonic())
        self._account_for(slot, process.pid, state, end, delay)

    def _account_for(self, slot: Slot, pid: int, state: SlotState, end: Exit, delay: float) -> None:
        """Say how a worker ended, where that is news, and keep it from being replaced where it must not be."""
        if self._phase in {Phase.DRAINING, Phase.QUITTING}:
            slot.deadline = None
            level = logging.DEBUG if end.clean or self._phase is Phase.QUITTING else logging.WARNING
            logger.log(level, "worker %d (pid %d) %s", slot.number, pid, end)
            return
        if self._phase is Phase.BOOTING and state is SlotState.STARTING:
            slot.deadline = None
            self._fail_boot(f"worker {slot.number} {end} before it was ready")
            return
        when = f"in {delay:g} s" if delay else "at once"
        level = logging.INFO if end.clean else logging.WARNING
        logger.log(level, "worker %d (pid %d) %s; a new one starts %s", slot.number, pid, end, when)
