"""What all worker models share: becoming a worker after the fork, loading the app, and the way out.

A model says in `run` how connections are served, and in `drain` how it is brought to an end.
"""

from __future__ import annotations

import abc
import contextlib
import faulthandler
import gc
import logging
import os
import random
import signal
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeVar

import msgspec

from rpcserver.service.context import WorkerInfo
from rpcserver.service.coroutines import CoroutineRunner, import_ahead
from rpcserver.service.discovery import checksum_of
from rpcserver.service.dispatch import Dispatcher
from rpcserver.system.at_exit import AtExit
from rpcserver.system.channel import LoadedService
from rpcserver.system.errors import AppFailed, LoadError, QuickStop, ServiceError
from rpcserver.system.log import RateLimit
from rpcserver.system.scoreboard import ANSWERED, STARTED
from rpcserver.system.signals import OwnSignals
from rpcserver.system.threads import NoThread
from rpcserver.workers.acceptor import Acceptor
from rpcserver.workers.app_process import (
    begin_process,
    keeping_descriptors,
    load_alone,
    reseed,
    warn_of_taken,
    write_stacks,
)
from rpcserver.workers.frame_budget import FrameBudget
from rpcserver.workers.limits import SAID_AGAIN, TICK
from rpcserver.workers.offspring import Offspring
from rpcserver.workers.terms import Terms
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence
    from types import FrameType

    from rpcserver.service.context import Peer
    from rpcserver.service.loader import LoadedApp
    from rpcserver.system.channel import WorkerEnd
    from rpcserver.system.log import LineHandler
    from rpcserver.system.scoreboard import SlotBoard
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.workers.app_process import Preloaded
    from rpcserver.workers.blocking_connection import BlockingConnection
    from rpcserver.workers.conversation import Answer, Conversation

logger = logging.getLogger(__name__)

EXIT_APP: Final = 3  # the exit code of a worker whose app cannot be loaded or started

# What a worker is sent, and what it does then.
GRACEFUL: Final = signal.SIGTERM  # it answers what has arrived, and leaves
QUICK: Final = signal.SIGQUIT  # it leaves at once
ABORT: Final = signal.SIGABRT  # it writes the stack of every thread to the log's file, and dies of the signal
RECLAIM: Final = signal.SIGUSR2  # it lets go of connections that keep other clients waiting
REOPEN: Final = signal.SIGUSR1  # it opens the log's file again

_LAST_SECONDS: Final = 1.0
"""Seconds, or a quarter of the drain timeout, that are left when processes that the app has started are ended."""


class _Conversing(Protocol):
    """A connection, whatever drives it."""

    conversation: Conversation


C = TypeVar("C", bound=_Conversing)


class WorkerSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What the arbiter gives a worker to start with."""

    worker: int
    generation: int
    settings: ServerSettings
    listeners: Sequence[Listener]
    channel: WorkerEnd
    logs: LineHandler
    board: SlotBoard
    tls: ssl.SSLContext | None = None
    app: LoadedApp | None = None  # what was loaded before the fork; None: the worker loads it
    preloaded: Preloaded | None = None  # what its stem has made; None: it has no stem


class Worker(abc.ABC):
    """A worker process, from the fork to its exit code."""

    model: ClassVar[str]

    # The connection that this process serves, in models in which it serves one at a time.
    _current: BlockingConnection | None = None

    answer: Answer  # like the dispatcher's, and sees to `max_requests`; for models that block
    signals: OwnSignals
    offspring: Offspring
    at_exit: AtExit
    app: LoadedApp

    def __init__(self, setup: WorkerSetup) -> None:
        self.settings = setup.settings
        self.channel = setup.channel
        # Calls are counted elsewhere than on the worker's own board in a child of the fork model.
        self.board = self.calls = setup.board
        self.budget = FrameBudget(setup.settings, setup.board)
        self.terms = Terms.of(setup.settings, self.budget, setup.tls, setup.listeners)
        self.draining = False  # whether the worker was asked to answer what has arrived, and to leave
        self._loaded = setup.app
        self._preloaded = setup.preloaded
        self._listeners = setup.listeners
        self._logs = setup.logs
        self._loading = True
        self._quitting = False
        self._retiring = False
        self._leave_by = inf
        self._full = RateLimit(SAID_AGAIN)
        self._look_at_signals = RateLimit(TICK)
        self._taken_before: set[signal.Signals] = set()
        self._runner = CoroutineRunner(None if self._preloaded is None else self._preloaded.offspring.guard)
        self._info = WorkerInfo(worker=setup.worker, pid=os.getpid(), generation=setup.generation, model=self.model)
        self._request_limit = 0
        if limit := self.settings.max_requests:
            self._request_limit = limit + random.randint(0, self.settings.max_requests_jitter)  # noqa: S311
        setup.logs.worker = setup.worker

    @abc.abstractmethod
    def run(self) -> None:
        """Serve connections; return once `draining` is set and everything is answered."""

    def drain(self) -> None:
        """Bring `run` to its end, without loss; called in a signal handler, right after `draining` was set.

        The acceptor's wait ends with the signal, so that a model which never waits elsewhere need do nothing.
        """
        if self._current is not None:
            self._current.drain()

    def reclaim(self) -> None:
        """Let go of connections that keep other clients waiting, idle or long in use; called in a signal handler."""
        if self._current is not None:
            self._current.reclaim()

    def prepare(self) -> None:
        """Get what `run` and handlers cannot do without, before the worker is ready.

        Raises:
            NoThread: there is no thread left.
            OSError: there is no descriptor left.
        """
        import_ahead()

    def start_service(self) -> None:
        """Run the service's start hooks, before the worker is ready; raises AppFailed where one fails."""
        self.dispatcher.hooks.start_worker()

    def stop_service(self) -> None:
        """Run the service's stop hooks, as the last thing; also where `start_service` was ended by an exception."""
        self.dispatcher.hooks.stop_worker()

    def make_dispatcher(self, app: LoadedApp, board: SlotBoard) -> Dispatcher:
        """Make what answers requests, and counts on `board`."""
        kind = Dispatcher
        if self.settings.access_log:
            from rpcserver.service.access import LoggedDispatcher

            kind = LoggedDispatcher
        return kind(
            app.service,
            self._info,
            endpoints=app.endpoints,
            debug=self.settings.debug,
            runner=self._runner,
            board=board,
        )

    def main(self) -> int:
        """Be a worker, and return the exit code of the process."""
        self.at_exit = AtExit(None if self._preloaded is None else self._preloaded.at_exit)
        try:
            try:
                return self._live()
            finally:
                self._quitting = True
                if not self.draining:
                    self._leave_by = 0.0
                self.at_exit.run(lambda: self._leave_by)
        except QuickStop:
            return 0
        except (NoThread, OSError) as error:
            if not self._loading:
                raise
            # What a user's code raises by then is a `LoadError`.
            self.channel.failed(f"the worker cannot start: {error}", shortage=True)
            return EXIT_APP

    def tick(self) -> None:
        """Note that the main thread's loop turns, and about once a second see to it that signals reach it."""
        self._runner.guard.check()
        self.board.tick()
        self.budget.tick()
        if self._look_at_signals.allows():
            self.keep_signals()

    def keep_signals(self, *, in_loop: bool = False) -> None:
        """Put back what the app's code has taken of the server's signals, and heed what has gone to that instead."""
        taken = self.signals.put_back(in_loop=in_loop)
        if new := taken - self._taken_before:
            self._taken_before |= taken
            warn_of_taken(new)
        self.signals.contain(self.in_call)
        if taken or not faulthandler.is_enabled():
            write_stacks(self._logs)
        if REOPEN in taken:
            self._logs.reopen()
        if self.board.leaving and not self.draining:
            self._on_graceful(GRACEFUL, None)
            self.wake()

    def in_call(self) -> bool:
        """Whether the main thread runs a call."""
        return self.calls.cells[STARTED] > self.calls.cells[ANSWERED]

    def wake(self) -> None:
        """End the acceptor's wait in the main thread; safe in any thread."""
        # A pipe that is full has enough in it to be readable.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wakeup_writer, b"\0")

    def retire(self, reason: str) -> None:
        """Ask the arbiter for a successor, once; this worker serves until it is told to drain. Safe in any thread.

        The reason is for the log, as in "has answered 1000 requests".
        """
        if not self._retiring:
            self._retiring = True
            self.channel.retiring(reason)

    def idlest(self, connections: Iterable[C]) -> list[C]:
        """Choose the connections that shall go, as many as wait; those on which nothing was ever said come first.

        Where there are not so many, those in use follow that have lasted longest. The others are told to hurry.
        """
        now, limit = monotonic(), self.settings.reclaim_idle
        idle: list[C] = []
        in_use: list[C] = []
        for connection in connections:
            conversation = connection.conversation
            if conversation.silent_for(now) >= limit:
                idle.append(connection)
                continue
            conversation.hurry()
            if conversation.in_use_for(now) >= limit > 0:
                in_use.append(connection)
        idle.sort(key=lambda connection: (connection.conversation.spoken, -connection.conversation.silent_for(now)))
        in_use.sort(key=lambda connection: -connection.conversation.in_use_for(now))
        return (idle + in_use)[: self.acceptor.count_waiting()]

    def note_full(self) -> None:
        """Log that no more connections are accepted for now; not each time."""
        if not self.draining and self._full.allows():
            logger.warning(
                "%d connections are open, and others wait until one of them ends: "
                "more --max-connections or --workers, or a --max-connection-age, would help",
                self.settings.max_connections,
            )

    def check_requests(self, count: int) -> None:
        """Ask for a successor where `max_requests` have been answered."""
        if 0 < self._request_limit <= count:
            self.retire(f"has answered {count} requests")

    def _live(self) -> int:
        wakeup, self._wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._preloaded is None:
            self.signals = OwnSignals()
            self.offspring = Offspring(self.signals, self._listeners, self._runner.guard)
        else:
            self.signals, self.offspring = self._preloaded.signals, self._preloaded.offspring
            reseed()
        self.signals.wake(self._wakeup_writer)
        handlers = {
            GRACEFUL: self._on_graceful,
            QUICK: self._on_quick,
            RECLAIM: self._on_reclaim,
            REOPEN: self._on_reopen,
        }
        begin_process(self.signals, self._logs, handlers)
        try:
            self.app = self._loaded or load_alone(self.settings, self._runner.guard)
            self.dispatcher = self.make_dispatcher(self.app, self.board)
            self.answer = self._answer_counted if self._request_limit else self.dispatcher.answer
            with keeping_descriptors(self.settings):
                self.start_service()
            self._logs.stand_in()
        except (LoadError, ServiceError) as error:
            self.channel.failed(str(error), error.traceback if isinstance(error, AppFailed) else None)
            return EXIT_APP
        try:
            rivals = self.settings.workers - 1 if MODELS[self.model].concurrent else 0
            self.acceptor = Acceptor(self._listeners, wakeup, rivals=rivals, board=self.board, retire=self.retire)
            write_stacks(self._logs)
            self.keep_signals()
            self.at_exit.note_files()
            self.prepare()
            # What lives as long as the process need not be looked at by the garbage collector again. All that is not
            # frozen yet is young; a full collection would empty free lists too, and so write to shared pages.
            gc.collect(0)
            gc.freeze()
            gc.enable()
            self._loading = False
            self.board.tick()
            self.channel.ready(self._described())
            self.run()
        finally:
            self.stop_service()
        return 0

    def _described(self) -> LoadedService | None:
        """Say what is served here, where that is registered."""
        if self.settings.register is None:
            return None
        service = self.dispatcher.service
        return LoadedService.of(service.name, service.version, checksum_of(self.dispatcher.discovery))

    def _answer_counted(self, body: bytes | bytearray, connection: Peer, close: bool = False) -> bytes:
        reply = self.dispatcher.answer(body, connection, close)
        self.check_requests(self.dispatcher.served)
        return reply

    def _on_graceful(self, number: int, frame: FrameType | None) -> None:
        self.draining = True
        limit = self.settings.drain_timeout
        self._leave_by = min(self._leave_by, monotonic() + limit - min(_LAST_SECONDS, limit / 4))
        if self._loading:
            self._on_quick(number, frame)
        self.drain()

    def _on_quick(self, _number: int, _frame: FrameType | None) -> None:
        self._leave_by = 0.0
        if not self._quitting:
            self._quitting = True
            raise QuickStop

    def _on_reclaim(self, _number: int, _frame: FrameType | None) -> None:
        if not self._loading:
            self.reclaim()

    def _on_reopen(self, _number: int, _frame: FrameType | None) -> None:
        self._logs.reopen()


def be_worker(model: type[Worker], setup: WorkerSetup) -> int:
    """Be a worker, in a process that was forked for it; returns its exit code."""
    try:
        worker = model(setup)
    except OSError as error:
        setup.channel.failed(f"the worker cannot start: {error}", shortage=True)
        return EXIT_APP
    return worker.main()
