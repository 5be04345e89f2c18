"""What all worker models share: becoming a worker after the fork, loading the app, and the way out.

A model says in `run` how connections are served, and in `drain` how it is brought to an end.
"""

from __future__ import annotations

import abc
import gc
import io
import logging
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from ..context import WorkerInfo
from ..coroutines import CoroutineRunner
from ..dispatch import Dispatcher
from ..errors import AppFailed, LoadError, ServiceError
from ..loader import load_service
from ..signals import ignore
from .acceptor import Acceptor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from ..channel import WorkerEnd
    from ..config import Settings
    from ..log import LineHandler
    from ..sockets import Listener

logger = logging.getLogger(__name__)

EXIT_APP: Final = 3
"""The exit code of a worker whose app cannot be loaded or started."""

GRACEFUL: Final = signal.SIGTERM
"""Sent to a worker that shall answer what has arrived, and leave."""

QUICK: Final = signal.SIGQUIT
"""Sent to a worker that shall leave at once."""

_FOR_THE_ARBITER: Final = (
    # A terminal sends these to every process of its group; what they mean to the server is the arbiter's to say.
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


class QuickStop(BaseException):
    """Raised in the main thread, wherever that is, to leave at once; no `except Exception` stops it."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the arbiter gives a worker to start with."""

    worker: int
    generation: int
    settings: Settings
    listeners: Sequence[Listener]
    channel: WorkerEnd
    logs: LineHandler


class Worker(abc.ABC):
    """A worker process, from the fork to its exit code.

    Attributes:
        settings: the server's settings.
        acceptor: accepts connections.
        channel: the way to the arbiter.
        dispatcher: answers requests.
        draining: whether the worker was asked to answer what has arrived, and to leave.
    """

    model: ClassVar[str]

    def __init__(self, assignment: Assignment) -> None:
        self.settings = assignment.settings
        self.channel = assignment.channel
        self.draining = False
        self._listeners = assignment.listeners
        self._loading = True
        self._quitting = False
        self._runner = CoroutineRunner()
        self._info = WorkerInfo(
            worker=assignment.worker, pid=os.getpid(), generation=assignment.generation, model=self.model
        )
        assignment.logs.worker = assignment.worker

    @abc.abstractmethod
    def run(self) -> None:
        """Serve connections; return once `draining` is set and everything is answered."""

    @abc.abstractmethod
    def drain(self) -> None:
        """Bring `run` to its end; called in a signal handler, right after `draining` was set."""

    def main(self) -> int:
        """Be a worker.

        Returns:
            The exit code of the process.
        """
        try:
            try:
                return self._live()
            finally:
                self._quitting = True
        except QuickStop:
            return 0

    def _live(self) -> int:
        wakeup, wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        self._catch_signals()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What handlers print shall be seen when they do, in a file or pipe too.
            sys.stdout.reconfigure(line_buffering=True)
        try:
            service = load_service(self.settings.app)
            self.dispatcher = Dispatcher(service, self._info, debug=self.settings.debug, runner=self._runner)
            self.dispatcher.start_worker()
        except (LoadError, ServiceError) as error:
            self.channel.failed(str(error), error.traceback if isinstance(error, AppFailed) else None)
            return EXIT_APP
        try:
            self.acceptor = Acceptor(self._listeners, wakeup)
            # What lives as long as the process need not be looked at by the garbage collector again.
            gc.collect()
            gc.freeze()
            gc.enable()
            self._loading = False
            self.channel.ready()
            self.run()
        finally:
            self.dispatcher.stop_worker()
        return 0

    def _catch_signals(self) -> None:
        for number in _FOR_THE_ARBITER:
            signal.signal(number, ignore)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(GRACEFUL, self._on_graceful)
        signal.signal(QUICK, self._on_quick)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _on_graceful(self, number: int, frame: FrameType | None) -> None:
        self.draining = True
        if self._loading:
            self._on_quick(number, frame)
        self.drain()

    def _on_quick(self, _number: int, _frame: FrameType | None) -> None:
        if not self._quitting:
            self._quitting = True
            raise QuickStop
