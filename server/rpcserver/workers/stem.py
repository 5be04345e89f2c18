"""The stem of `--preload`: a process that imports the app once, and forks the workers, which share its memory.

It serves nobody and supervises nobody: its workers become the arbiter's children at once, and live on if it dies. What
it is told, `rpcserver.system.stem_link` says.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.service.coroutines import import_ahead
from rpcserver.system.at_exit import AtExit
from rpcserver.system.errors import AppFailed, LoadError, QuickStop, ServiceError
from rpcserver.system.signals import OwnSignals, ignore
from rpcserver.system.stem_link import STEM_NAME, Retire, WorkerOrder
from rpcserver.system.strays import StrayGuard
from rpcserver.workers.app_process import (
    Preloaded,
    begin_process,
    load_alone,
    warn_of_taken,
    write_stacks,
)
from rpcserver.workers.base import EXIT_APP, GRACEFUL, QUICK, RECLAIM, REOPEN, WorkerSetup, be_worker
from rpcserver.workers.fork_hazards import fork_hazards, open_descriptors
from rpcserver.workers.offspring import Offspring

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from rpcserver.service.loader import LoadedApp
    from rpcserver.system.channel import WorkerEnd
    from rpcserver.system.log import LineHandler
    from rpcserver.system.process import Forker
    from rpcserver.system.scoreboard import Scoreboard
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.system.stem_link import StemEnd
    from rpcserver.workers.base import Worker

logger = logging.getLogger(__name__)

_LAST_SECONDS: Final = 3.0
"""Seconds that processes which the app has started may go on, once there are no workers any more."""


class StemSetup(msgspec.Struct, frozen=True):
    """What the arbiter, whose pid that is, gives a stem to start with."""

    arbiter: int
    generation: int
    settings: ServerSettings
    listeners: Sequence[Listener]
    end: StemEnd
    logs: LineHandler
    board: Scoreboard
    forker: Forker
    model: type[Worker]
    tls: ssl.SSLContext | None = None


class Stem:
    """A stem, from the fork to its exit code."""

    def __init__(self, setup: StemSetup) -> None:
        self._setup = setup
        self._end = setup.end
        self._logs = setup.logs
        self._quitting = False
        self._app: LoadedApp | None = None
        self._signals = OwnSignals()
        self._offspring = Offspring(self._signals, setup.listeners, StrayGuard())
        self._at_exit = AtExit()

    def main(self) -> int:
        """Be a stem, and return the exit code of the process."""
        # Collections while it is imported would find little, and after it they would write to what workers share.
        gc.disable()
        self._logs.role = "stem"
        self._former_name = self._setup.forker.name_process(STEM_NAME.encode())
        try:
            try:
                return self._live()
            finally:
                leave_by = 0.0 if self._quitting else time.monotonic() + _LAST_SECONDS
                self._quitting = True
                self._at_exit.run(lambda: leave_by)
        except QuickStop:
            return 0

    def _live(self) -> int:
        handlers = {
            # A service manager sends the first to every process; how the server leaves is the arbiter's to say.
            GRACEFUL: ignore,
            RECLAIM: ignore,
            QUICK: self._on_quick,
            REOPEN: lambda _number, _frame: self._logs.reopen(),
        }
        begin_process(self._signals, self._logs, handlers)
        began, descriptors = time.monotonic(), open_descriptors()
        try:
            self._app = load_alone(self._setup.settings, self._offspring.guard)
            self._logs.stand_in()
        except (LoadError, ServiceError) as error:
            self._end.failed(str(error), error.traceback if isinstance(error, AppFailed) else None)
            return EXIT_APP
        except OSError as error:
            # What a user's code raises is a `LoadError`.
            self._end.failed(f"the app cannot be loaded: {error}", shortage=True)
            return EXIT_APP
        if taken := self._signals.put_back():
            warn_of_taken(taken)
        self._signals.contain(lambda: False)
        write_stacks(self._logs)
        for hazard in fork_hazards(descriptors, self._fork_in_vain):
            logger.warning("%s", hazard)
        import_ahead()
        self._at_exit.note_files()
        gc.collect()
        # What workers collect shall not look at what they share: that would write to its pages.
        gc.freeze()
        took = time.monotonic() - began
        generation = self._setup.generation
        logger.info("the app is loaded, once for all workers of generation %d, in %.2f s", generation, took)
        if not self._end.loaded():
            return EXIT_APP
        self._serve(Preloaded(self._signals, self._offspring, self._at_exit))
        return 0

    def _serve(self, preloaded: Preloaded) -> None:
        while (received := self._end.receive()) is not None:
            if isinstance(received, Retire):
                for listener in self._setup.listeners:
                    listener.close()
            else:
                self._fork(*received, preloaded)

    def _fork(self, order: WorkerOrder, channel: WorkerEnd, lifeline: int, preloaded: Preloaded) -> None:
        setup = self._setup
        problem: str | None = None
        try:
            become_worker = partial(self._be_worker, order, channel, preloaded)
            setup.forker.fork_for(setup.arbiter, lifeline, become_worker, self._forks)
        except OSError as error:
            problem = error.strerror or str(error)
        finally:
            channel.close()
        self._end.forked(problem)

    def _fork_in_vain(self) -> int:
        with self._forks():
            return os.fork()

    @contextlib.contextmanager
    def _forks(self) -> Iterator[None]:
        """Fork for the server itself, whatever threads the app has; that these end is said by `fork_hazards`."""
        with self._offspring.server_forks(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
            yield

    def _be_worker(self, order: WorkerOrder, channel: WorkerEnd, preloaded: Preloaded) -> int:
        setup = self._setup
        self._end.close()
        setup.forker.name_process(self._former_name)
        if not channel.started():
            return 0
        worker = WorkerSetup(
            worker=order.worker,
            generation=setup.generation,
            settings=setup.settings,
            listeners=setup.listeners,
            channel=channel,
            logs=setup.logs,
            board=setup.board.slot(order.index),
            tls=setup.tls,
            app=self._app,
            preloaded=preloaded,
        )
        return be_worker(setup.model, worker)

    def _on_quick(self, _number: int, _frame: FrameType | None) -> None:
        if not self._quitting:
            self._quitting = True
            raise QuickStop
