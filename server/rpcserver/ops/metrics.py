"""Metrics for Prometheus: a companion process that answers scrapes with what the arbiter tells it.

The arbiter is asked once a scrape, for a `Sample` that it has at hand; HTTP, slow scrapers and the making of the
text are the companion's. So nothing that happens here can stop or slow the arbiter.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.arbiter.companion import LONGEST_ANSWER, Duty
from rpcserver.arbiter.status import NoSample, Sample, take_sample
from rpcserver.system.errors import ServerError
from rpcserver.system.sockets import open_listeners

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from rpcserver.arbiter.arbiter import Arbiter
    from rpcserver.system.addresses import TcpBind
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)

_ASK: Final = b"sample"
_SCRAPE_SECONDS: Final = 3.0
_ARBITERS_SHARE: Final = 2 / 3
_BACKLOG: Final = 64


class MetricsUnavailable(ServerError):
    """Metrics cannot be served, because prometheus_client is not installed."""

    def __str__(self) -> str:
        return "--metrics needs the package prometheus_client: pip install 'rpcshell[metrics]'"


def check_metrics() -> None:
    """Find the package that metrics are made with, without importing it.

    Raises:
        MetricsUnavailable: it is missing.
    """
    if importlib.util.find_spec("prometheus_client") is None:
        raise MetricsUnavailable


def open_metrics(bind: TcpBind) -> list[Listener]:
    """Listen where metrics are asked for.

    Raises:
        MetricsUnavailable: a package is missing.
        BindError: the address cannot be had.
    """
    check_metrics()
    return open_listeners([bind], backlog=_BACKLOG, unix_mode=0o600)


def metrics_duty(
    listeners: Sequence[Listener], sample: Callable[[], Sample], *, patience: float = _SCRAPE_SECONDS
) -> Duty:
    """What the companion that serves metrics has to do.

    The listeners stay open in the arbiter, so that the companion can be started again. A scrape may take `patience`
    seconds; two thirds of that are for the arbiter's answer.
    """

    def answer(message: bytes) -> bytes | None:
        return msgspec.msgpack.encode(sample()) if message == _ASK else None

    def serve(end: socket.socket) -> int:
        from rpcserver.ops.exposition import serve_metrics

        take = _asking(end, patience * _ARBITERS_SHARE)
        serve_metrics([listener.socket for listener in listeners], take, patience)
        return 0

    return Duty("metrics", serve, answer, listeners)


def arbiters_metrics(listeners: Sequence[Listener], arbiter: Arbiter) -> Duty:
    """What a companion has to do that serves the metrics of an arbiter and its workers."""
    return metrics_duty(listeners, partial(take_sample, arbiter))


def _asking(end: socket.socket, patience: float) -> Callable[[], Sample]:
    """What asks the arbiter for samples, from any thread; it raises `NoSample` after `patience` seconds without one."""
    turn = threading.Lock()
    decoder = msgspec.msgpack.Decoder(Sample)

    def take() -> Sample:
        with turn:
            try:
                end.settimeout(0)
                with contextlib.suppress(BlockingIOError):
                    # An answer that once came too late is no answer to this question.
                    while end.recv(LONGEST_ANSWER):
                        pass
                end.settimeout(patience)
                end.send(_ASK)
                return decoder.decode(end.recv(LONGEST_ANSWER))
            except (OSError, msgspec.DecodeError) as error:
                raise NoSample from error

    return take
