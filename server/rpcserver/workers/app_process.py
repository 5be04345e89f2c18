"""A process that runs the code of an app: what it keeps of its own in spite of that, and what a stem hands on.

What a worker does is in `base`, what a stem does in `stem`.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import random
import resource
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.service.hooks import run_preload_hooks
from rpcserver.service.loader import LoadedApp, load_service
from rpcserver.system.errors import LoadError
from rpcserver.system.inherited import allow_descriptors, fill_standard_descriptors
from rpcserver.system.log import keep_enabled
from rpcserver.system.signals import ignore
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rpcserver.system.at_exit import AtExit
    from rpcserver.system.log import LineHandler
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.signals import Handler, OwnSignals
    from rpcserver.system.strays import StrayGuard
    from rpcserver.workers.offspring import Offspring

logger = logging.getLogger(__name__)

_FOR_THE_ARBITER: Final = (
    # A terminal sends these to every process of its group; what they mean to the server is the arbiter's to say.
    signal.SIGINT,
    signal.SIGHUP,
)

_IGNORED: Final = (
    # A terminal's, when a process of its background reads or writes: then the read fails and the write is done. A
    # handler would have each of them tried again, and the signal sent anew to the whole group, without end.
    signal.SIGTTIN,
    signal.SIGTTOU,
    # A client that has gone.
    signal.SIGPIPE,
)

_LEAST_ROOM: Final = 8  # how many descriptors a worker needs for itself and a first connection

_RANDOM: Final = ("numpy.random", "torch")
"""Libraries with random numbers of their own, as they are once an app has imported them."""


class Preloaded(msgspec.Struct, frozen=True):
    """What a stem has made, for the workers that it forks."""

    signals: OwnSignals
    offspring: Offspring
    at_exit: AtExit


def load_alone(settings: ServerSettings, guard: StrayGuard) -> LoadedApp:
    """Load an app and run its preload hooks; a process that these fork and that comes back from there ends.

    Raises:
        LoadError: the app cannot be found, has failed, or leaves no descriptors for connections.
        ServiceError: a handler cannot be served as it is written.
    """
    with keeping_descriptors(settings), guard.holding():
        service = load_service(settings.app)
        run_preload_hooks(service)
        app = LoadedApp.of(service, settings.app)
    # What an app has closed must become no connection that a handler's print is sent to.
    fill_standard_descriptors()
    return app


@contextmanager
def keeping_descriptors(settings: ServerSettings) -> Iterator[None]:
    """Run an app's code, and have this process be allowed descriptors for its connections before and after it.

    Raises:
        LoadError: there were some, and the app leaves none.
    """
    model = MODELS[settings.model]
    connections = settings.max_children if model.forks else settings.max_connections if model.concurrent else 1
    room = allow_descriptors(connections)
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    lowered, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = allow_descriptors(connections)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if left < _LEAST_ROOM <= room:
        how = f"it holds all, or has lowered their limit (RLIMIT_NOFILE is {limit})"
        raise LoadError(settings.app or "", f"the app leaves no descriptors for connections: {how}")
    if lowered < min(allowed, limit):
        logger.warning(
            "the app has lowered the limit of descriptors (RLIMIT_NOFILE) to %d; it is %d, which connections may need",
            lowered,
            limit,
        )


def begin_process(signals: OwnSignals, logs: LineHandler, handlers: Mapping[signal.Signals, Handler]) -> None:
    """Do first what every process that runs an app does: at signals, which were blocked until now, and with prints."""
    for number in _FOR_THE_ARBITER:
        signals.handle(number, ignore)
    for number in _IGNORED:
        signals.handle(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, handler in handlers.items():
        signals.handle(number, handler)
    signals.handle(signal.SIGABRT, signal.SIG_DFL)
    write_stacks(logs)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # What an app prints shall be seen when it does, in a file or pipe too.
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.closed:
        sys.stdout.reconfigure(line_buffering=True)
    keep_enabled(logs)


def write_stacks(logs: LineHandler) -> None:
    """Have SIGABRT and crashes write stacks to the log's file, and not to where an app has them written."""
    faulthandler.disable()
    # In C: a thread that never lets go of the interpreter would keep a handler in Python from running.
    faulthandler.enable(logs.fileno())


def warn_of_taken(taken: Iterable[signal.Signals]) -> None:
    """Say which of the server's signals the app had taken."""
    logger.warning(
        "the app has taken %s, which the server needs and has taken back: clean up in @service.on_worker_stop",
        ", ".join(number.name for number in sorted(taken)),
    )


def reseed() -> None:
    """Give this process random numbers of its own: a fork has the state that the app was loaded with."""
    random.seed()
    # What the app has made for itself, such as a Generator, is made anew in a start hook.
    for name in _RANDOM:
        if (seed := getattr(sys.modules.get(name), "seed", None)) is not None:
            seed()
