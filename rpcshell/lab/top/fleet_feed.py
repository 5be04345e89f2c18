"""What is known of each instance of a fleet by now: asked at its control socket where it is here, or for its metrics.

None waits for another: who does not answer in time is asked again when it has.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from rpcshell.client.daemon_threads import DaemonThreads
from rpcshell.client.errors import ConnectionFailed, ProtocolError, ShellError
from rpcshell.lab.top.feed import PERIOD
from rpcshell.lab.top.instance_reading import InstanceReading, Rates, of_metrics, of_status
from rpcshell.servers.control import Control
from rpcshell.servers.directory import LocalServer, servers_at
from rpcshell.servers.silence import silence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from rpcshell.client.fleet.instances import InstanceState
    from rpcshell.client.target import Target
    from rpcshell.servers.directory import SilentServer

_TIMEOUT: Final = 2.0
"""Seconds that an instance has to take a connection, and again to tell all."""

_PATIENCE: Final = 0.3
"""Seconds of a look in which instances may answer; who does later is in the next one."""

_AGAIN: Final = 5.0
"""Seconds after which it is looked again for where an instance can be asked."""

_AT_ONCE: Final = 32
_KEPT: Final = 8
_LARGEST: Final = 4 << 20

_NOWHERE: Final = "not one of yours on this machine, and the registry knows no metrics of it"


class InstanceLine(msgspec.Struct, frozen=True):
    """An instance: how it is to the client, what it tells, what it did lately, and why it tells nothing."""

    state: InstanceState
    reading: InstanceReading | None
    rates: Rates | None
    problem: str


class _Asked:
    """An instance, and what it has told."""

    def __init__(self) -> None:
        self.control: str | None = None
        """The path of its control socket."""
        self.readings: list[InstanceReading] = []
        self.problem = ""
        self.searched = 0.0
        """When it was looked for where it can be asked."""
        self.sought = False
        """Whether that has come to an end once."""
        self.pending: Future[InstanceReading] | None = None

    def take(self) -> None:
        """Take the answer that has come, if one has."""
        if self.pending is None or not self.pending.done():
            return
        pending, self.pending = self.pending, None
        try:
            self.readings = [*self.readings[1 - _KEPT :], pending.result()]
            self.problem = ""
        except ShellError as error:
            self.readings, self.problem = [], getattr(error, "reason", error.message)


class FleetFeed:
    """Looks at the instances of a fleet, again and again."""

    def __init__(self) -> None:
        self._asked: dict[Target, _Asked] = {}
        self._search: Future[dict[Target, LocalServer | SilentServer]] | None = None
        """For the servers of this machine; one that is silent holds up what waits for it, and no look."""
        self._pool = DaemonThreads("look", _AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A look at an instance that hangs ends by its own timeout.
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self, instances: Sequence[InstanceState]) -> list[InstanceLine]:
        """Ask the instances that there are by now, and tell of each what is known."""
        self._find(instances)
        for instance in instances:
            asked = self._asked[instance.target]
            if asked.pending is None and (asked.control or instance.metrics):
                ask = partial(_ask, instance.target, asked.control, instance.metrics)
                asked.pending = self._pool.submit(ask)
        wait([asked.pending for asked in self._asked.values() if asked.pending is not None], _PATIENCE)
        return [self._line(instance) for instance in instances]

    def _line(self, instance: InstanceState) -> InstanceLine:
        asked = self._asked[instance.target]
        asked.take()
        nowhere = _NOWHERE if asked.sought and not (asked.control or instance.metrics) else ""
        readings = asked.readings
        late = bool(readings) and time.monotonic() - readings[-1].at > _TIMEOUT
        return InstanceLine(
            instance,
            readings[-1] if readings else None,
            Rates.between(readings) if readings else None,
            "it does not answer" if late else asked.problem or nowhere,
        )

    def _find(self, instances: Sequence[InstanceState]) -> None:
        """Find where instances can be asked of which that is not known."""
        there = {instance.target for instance in instances}
        self._asked = {target: asked for target, asked in self._asked.items() if target in there}
        for target in there:
            self._asked.setdefault(target, _Asked())
        now = time.monotonic()
        unknown = [
            target
            for target, asked in self._asked.items()
            if not (asked.readings or asked.pending) and now - asked.searched > _AGAIN
        ]
        if unknown and self._search is None:
            for target in unknown:
                self._asked[target].searched = now
            self._search = self._pool.submit(partial(servers_at, unknown, _TIMEOUT))
            wait([self._search], _PATIENCE)
        if self._search is None or not self._search.done():
            return
        search, self._search = self._search, None
        found = search.result()
        for target, asked in self._asked.items():
            asked.sought = asked.searched > 0
            server = found.get(target)
            if isinstance(server, LocalServer):
                asked.control = server.path
            elif server is not None:
                asked.control, asked.problem = None, silence(server)


class FleetWatch:
    """Looks at the instances that there are by now, again and again in a thread, and calls `changed` there."""

    def __init__(self, instances: Callable[[], Sequence[InstanceState]]) -> None:
        self.lines: list[InstanceLine] | None = None
        """What is known of them, replaced whole; None before the first look."""
        self.changed: Callable[[], None] = lambda: None
        self._instances = instances
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="top", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def _run(self) -> None:
        with FleetFeed() as feed:
            while not self._ended.is_set():
                self.lines = feed.look(self._instances())
                self.changed()
                self._ended.wait(PERIOD)


class _TimedSocket(socket.socket):
    """A connection over which all has to come in time, and not only each piece."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._deadline = time.monotonic() + _TIMEOUT

    def recv_into(self, *into: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)
        return super().recv_into(*into)


def _ask(instance: Target, control: str | None, metrics: str) -> InstanceReading:
    """Ask an instance; raises `ShellError` where it does not answer, or not so that it is understood."""
    if control is not None:
        with Control(control, timeout=_TIMEOUT) as asked:
            return of_status(asked.status(), time.monotonic())
    return of_metrics(_scraped(instance, metrics), time.monotonic())


def _scraped(instance: Target, url: str) -> str:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
    try:
        connection.connect()
        connection.sock = _TimedSocket(connection.sock.detach())
        connection.request("GET", parts.path)
        response = connection.getresponse()
        body = response.read(_LARGEST)
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise ConnectionFailed(instance, f"{url} cannot be read: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise ProtocolError(f"{url} answers {response.status} {response.reason}")
    return body.decode("utf-8", "replace")
