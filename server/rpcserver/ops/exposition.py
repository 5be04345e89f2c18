"""The text that Prometheus scrapes, and the small HTTP server that hands it out.

It runs in a process of its own (`metrics`), and is the only module that imports prometheus_client.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import threading
from collections import Counter
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from operator import attrgetter
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any, Final, NoReturn

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from rpcserver.arbiter.memory_gauge import MemoryGauge
from rpcserver.arbiter.status import NoSample
from rpcserver.system.addresses import format_host_port
from rpcserver.system.method_board import OUTCOMES
from rpcserver.system.threads import NoThread, start_thread

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from rpcserver.arbiter.memory_gauge import MemoryUse
    from rpcserver.arbiter.status import Sample, WorkerSample
    from rpcserver.system.method_board import MethodReading, MethodReadings

logger = logging.getLogger(__name__)

_PREFIX: Final = "rpcserver_"
_STATES: Final = ("starting", "ready", "draining", "aborting")
_SCRAPES_AT_ONCE: Final = 16
_MEMORY_SECONDS: Final = 0.5
"""How long one scrape may read what processes take of memory: enough for hundreds, and the arbiter does not wait."""
_NANOSECONDS: Final = 1e9
_NO_METHOD: Final = "(other)"
"""The label of names that are not registered."""
_FIRST_BITS: Final = 14
_FIRST_WAIT_BITS: Final = 20
_LAST_BITS: Final = 36
"""Buckets end at powers of two of nanoseconds: from 16 µs, or 1 ms, to 69 s."""

# The name, what it counts, the field of the totals or of a worker's reading, and by what that is divided.
_SERVER_COUNTERS: Final = (
    ("requests", "Requests answered, errors included", "requests", 1),
    ("errors", "Requests answered with an error", "errors", 1),
    ("accepts", "Connections accepted", "accepts", 1),
    ("received_bytes", "Size of the requests", "bytes_in", 1),
    ("sent_bytes", "Size of the replies", "bytes_out", 1),
    ("busy_seconds", "Time that requests took, added up", "busy_ns", _NANOSECONDS),
    ("worker_deaths", "Workers that ended without being asked to", "died", 1),
    ("lost_requests", "Requests lost to the deaths of workers", "lost", 1),
)
_WORKER_COUNTERS: Final = (
    ("worker_requests", "Requests that the worker has answered, errors included", "requests", 1),
    ("worker_errors", "Requests that the worker has answered with an error", "errors", 1),
    ("worker_accepts", "Connections that the worker has accepted", "accepts", 1),
    ("worker_received_bytes", "Size of the worker's requests", "bytes_in", 1),
    ("worker_sent_bytes", "Size of the worker's replies", "bytes_out", 1),
    ("worker_busy_seconds", "Time that the worker's requests took, added up", "busy_ns", _NANOSECONDS),
)
_WORKER_GAUGES: Final = (
    ("worker_stalled", "Whether the worker is ready and its loop does not go round", attrgetter("stalled")),
    ("worker_connections", "Open connections", attrgetter("reading.connections")),
    ("worker_resident_bytes", "Resident memory, pages shared with other processes included", attrgetter("resident")),
)
_LISTENER_GAUGES: Final = (
    ("listen_queue", "Connections that wait to be accepted", "waiting"),
    ("listen_queue_limit", "Connections that can wait to be accepted", "limit"),
)


class SampleCollector(Collector):
    """Loop samples into Prometheus's metrics; what `take` raises is raised by `collect`.

    What the server counts over its whole life stands by itself; what a worker counts begins again with its
    successor, and has another name and the label `worker`. So neither distorts sums of the other.
    """

    def __init__(self, take: Callable[[], Sample]) -> None:
        self._take = take
        self._gauge = MemoryGauge(_MEMORY_SECONDS)
        self._gauge_turn = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Take a sample and say all that is in it."""
        sample = self._take()
        about = {"version": sample.version, "model": sample.model}
        yield InfoMetricFamily(f"{_PREFIX}server", "What the server is", about)
        for name, text, field, divisor in _SERVER_COUNTERS:
            yield CounterMetricFamily(_PREFIX + name, text, getattr(sample.totals, field) / divisor)
        yield GaugeMetricFamily(f"{_PREFIX}generation", "How many times the server was reloaded", sample.generation)
        for name, text, field in _LISTENER_GAUGES:
            lengths = {listener.address: getattr(listener, field) for listener in sample.listeners}
            yield _labelled(GaugeMetricFamily, name, text, "address", lengths)
        if sample.methods is not None:
            yield from _of_methods(sample.methods)
        yield from _of_workers(sample.workers)
        with self._gauge_turn:
            uses = dict(self._gauge.read((*(found.reading.pid for found in sample.workers), *sample.stems)))
        yield from _of_memory(sample, uses)


def _labelled(
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    text: str,
    label: str,
    values: Mapping[Any, float | None],
) -> Metric:
    """Make a metric of values by what the label says; what is not known is left out."""
    family = kind(_PREFIX + name, text, labels=[label])
    for labelled, value in values.items():
        if value is not None:
            family.add_metric([str(labelled)], value)
    return family


def _of_methods(readings: MethodReadings) -> Iterable[Metric]:
    calls = CounterMetricFamily(
        f"{_PREFIX}method_requests", "Requests answered, by method and outcome", labels=["method", "outcome"]
    )
    times = HistogramMetricFamily(f"{_PREFIX}method_seconds", "Time that requests took, by method", labels=["method"])
    for reading in readings.methods:
        name = reading.name or _NO_METHOD
        results = sum(reading.lengths.values()) - sum(reading.outcomes)
        # Each is read in a moment of its own, while calls end.
        calls.add_metric([name, "result"], max(0, results))
        for outcome, count in zip(OUTCOMES, reading.outcomes, strict=True):
            calls.add_metric([name, outcome], count)
        # `rate` sees only how a counter changes: each is there before the first call. A histogram has too many series.
        if reading.lengths or not reading.name:
            times.add_metric([name], _buckets(reading, _FIRST_BITS), reading.nanoseconds / _NANOSECONDS)
    yield calls
    yield times
    waits = HistogramMetricFamily(
        f"{_PREFIX}connection_wait_seconds", "Time that TCP connections waited to be accepted, to a few milliseconds"
    )
    waits.add_metric([], _buckets(readings.waits, _FIRST_WAIT_BITS), readings.waits.nanoseconds / _NANOSECONDS)
    yield waits


def _buckets(reading: MethodReading, first: int) -> list[tuple[str, float]]:
    """How many times were no longer than each of some powers of two of nanoseconds, as Prometheus has it."""
    buckets: list[tuple[str, float]] = []
    for bits in range(first, _LAST_BITS + 1):
        count = sum(count for length, count in reading.lengths.items() if length <= bits)
        buckets.append((str(2**bits / _NANOSECONDS), count))
    return [*buckets, ("+Inf", sum(reading.lengths.values()))]


def _of_workers(workers: Sequence[WorkerSample]) -> Iterable[Metric]:
    states = Counter(found.reading.state.name.lower() for found in workers)
    known = {state: states[state] for state in (*_STATES, *sorted(states.keys() - set(_STATES)))}
    yield _labelled(GaugeMetricFamily, "workers", "Workers by what they are about", "state", known)
    # While a worker is replaced there are two of its number: the younger one's counts go on, and the gauges are
    # those of both.
    youngest = {found.reading.number: found.reading for found in workers}
    for name, text, field, divisor in _WORKER_COUNTERS:
        counts = {number: getattr(reading, field) / divisor for number, reading in youngest.items()}
        yield _labelled(CounterMetricFamily, name, text, "worker", counts)
    for name, text, value in _WORKER_GAUGES:
        sums = {number: sum(value(found) for found in workers if found.reading.number == number) for number in youngest}
        yield _labelled(GaugeMetricFamily, name, text, "worker", sums)
    generations = {number: reading.generation for number, reading in youngest.items()}
    yield _labelled(GaugeMetricFamily, "worker_generation", "The reload that made the worker", "worker", generations)


def _of_memory(sample: Sample, uses: Mapping[int, MemoryUse]) -> Iterable[Metric]:
    """What processes take, as far as the kernel tells it: adding this up counts what they share once."""
    known = {pid: use.pss for pid, use in uses.items() if use.pss is not None}
    sizes: Counter[int] = Counter()
    for found in sample.workers:
        if found.reading.pid in known:
            sizes[found.reading.number] += known[found.reading.pid]
    text = "Memory, of pages that n processes share the nth part (PSS)"
    yield _labelled(GaugeMetricFamily, "worker_pss_bytes", text, "worker", sizes)
    if sample.stems:
        stems = GaugeMetricFamily(f"{_PREFIX}stem_pss_bytes", "The same of the processes that fork the workers")
        if of_stems := [known[pid] for pid in sample.stems if pid in known]:
            stems.add_metric([], sum(of_stems))
        yield stems


def serve_metrics(listening: Sequence[socket.socket], take: Callable[[], Sample], patience: float) -> NoReturn:
    """Answer scrapes until the process ends.

    A scrape may take `patience` seconds.
    """
    registry = CollectorRegistry()
    registry.register(SampleCollector(take))
    places = threading.BoundedSemaphore(_SCRAPES_AT_ONCE)

    def answer(connection: socket.socket, peer: object) -> None:
        # Whoever sends or reads byte by byte would never run into the timeout of a single read or write.
        limit = threading.Timer(patience, _cut, (connection,))
        try:
            with connection:
                limit.start()
                _Scrape(registry, connection, peer)
        except (OSError, RuntimeError) as error:
            # The latter where there is no thread for the timer.
            logger.debug("a scrape was broken off: %s", error)
        finally:
            limit.cancel()
            places.release()

    with selectors.DefaultSelector() as selector:
        for found in listening:
            selector.register(found, selectors.EVENT_READ, found)
            logger.info("metrics are at http://%s/metrics", format_host_port(*found.getsockname()[:2]))
        while True:
            for key, _ in selector.select():
                places.acquire()
                try:
                    connection, peer = key.data.accept()
                except OSError:
                    places.release()
                    continue
                try:
                    start_thread(partial(answer, connection, peer), "scrape")
                except NoThread as error:
                    logger.debug("a scrape was turned away: %s", error)
                    connection.close()
                    places.release()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(SHUT_RDWR)


class _Scrape(BaseHTTPRequestHandler):
    """One request over HTTP."""

    server_version = "rpcserver"
    sys_version = ""

    def __init__(self, registry: CollectorRegistry, connection: socket.socket, peer: object) -> None:
        self._registry = registry
        # The server that the base class wants is only kept by it.
        super().__init__(connection, peer, None)  # type: ignore[arg-type] # as above

    def do_GET(self) -> None:
        """Answer with the metrics, or say where they are."""
        if self.path.partition("?")[0] != "/metrics":
            self._reply(HTTPStatus.NOT_FOUND, b"the metrics are at /metrics\n")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        try:
            text = encode(self._registry)
        except NoSample as error:
            logger.warning("a scrape was not answered: %s", error)
            self._reply(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
            return
        self._reply(HTTPStatus.OK, text, content_type)

    def _reply(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log what the base class has to say."""
        logger.debug(format, *args)
