"""One session: the target, its connection and catalog, and the server that was spawned, if any.

A frontend asks a session for everything that goes beyond the screen. Lines are parsed elsewhere, and what a server is
started with and how it ends is in `rpcshell.servers.spawn`. Nothing here prints.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal

from rpcshell.client.errors import CallError, Cancelled, ConnectionFailed, ConnectionLost, NotConnected, UsageError
from rpcshell.client.outcome import CallOutcome
from rpcshell.client.target import Target
from rpcshell.shell.address_book import AddressBook, Destination
from rpcshell.shell.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.client import Client
    from rpcshell.client.tls import TlsFiles
    from rpcshell.client.trace import Exchange
    from rpcshell.line.catalog import Catalog, Method
    from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
    from rpcshell.servers.state import TargetMemory
    from rpcshell.shell.discovery import Discovery
    from rpcwire import Reply

__all__ = ["CallOutcome", "Session", "State"]

State = Literal["none", "connected", "lost"]
"""Of a session: without a target, with a connection that worked last time, or with one that did not."""

_IN_USE: Final = 0.5
"""Seconds to wait for a connection that is in use before it is left alone."""

_NOT_SENT: Final = "cancelled: the request was not sent"
_STILL_RUNNING: Final = "cancelled: the connection was closed, but the server may still be running it"


class Session:
    """The state that calls and commands share.

    Calls are made from one thread. Where `background` is set, a thread of the session's own asks the target what it
    offers: the catalog is replaced whole, so that readers need no lock.

    Args:
        plain: Send no probe, and nothing but a method and its params.
        timeout: Seconds for a call, or None for no limit.
        background: Ask for the catalog in the background upon connecting; otherwise when it is first needed.
        meta: Ask with every call who served it.
        memory: Gives the place where it is remembered which targets were used, and which cannot describe themselves.
        book: Finds targets by name; knows no names if not given.
        tls: Files of TLS that go before those of a named target.
    """

    def __init__(
        self,
        *,
        plain: bool = False,
        timeout: float | None = None,
        background: bool = True,
        meta: bool = True,
        memory: Callable[[], TargetMemory] | None = None,
        book: AddressBook | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        self.timeout = timeout
        self.server: SpawnedServer | None = None
        self.notes: Callable[[str], None] = lambda text: None
        """Takes one line of information, from any thread; a frontend sets it."""
        self._plain = plain
        self._background = background
        self.meta = meta
        self._memory = memory
        self._book = book or AddressBook(memory=memory)
        self._tls = tls
        self._link: Link | None = None
        self._state: State = "none"
        self._watchers: list[Callable[[], None]] = []

    @property
    def target(self) -> Target | None:
        """Where calls go, or None."""
        return self._link.client.target if self._link else None

    @property
    def name(self) -> str | None:
        """What the user calls the target: its name in the configuration, or its address; None without one."""
        return self._link.name if self._link else None

    @property
    def catalog(self) -> Catalog:
        """What the target is known to offer; immutable, and empty until the target has told."""
        # A run whose lines need no catalog spares the import.
        from rpcshell.line.catalog import EMPTY_CATALOG

        return (self._link and self._link.catalog) or EMPTY_CATALOG

    @property
    def plain(self) -> bool:
        """Whether requests carry only a method and its params."""
        return self._link.client.plain if self._link else self._plain

    @property
    def tls(self) -> TlsFiles | None:
        """The files that the target is verified with, and those that it is shown."""
        return self._link.client.tls if self._link else None

    @property
    def limit(self) -> float | None:
        """Seconds for a call: the session's own, or what the target's configuration has, or None for no limit."""
        return self._link.timeout if self.timeout is None and self._link else self.timeout

    @property
    def state(self) -> State:
        """Whether there is a target, and whether its connection worked last time."""
        return self._state

    @property
    def discovering(self) -> bool:
        """Whether the target is being asked what it offers."""
        return self._link is not None and self._link.refreshing

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, from any thread, when the target, the state or the catalog changed."""
        self._watchers.append(callback)

    def target_names(self) -> tuple[str, ...]:
        """What `connect` can be given: names of the configuration, and targets that were used before."""
        return self._book.names()

    def connect(
        self,
        target: Target | str,
        *,
        plain: bool | None = None,
        probe_again: bool = False,
        tls: TlsFiles | None = None,
    ) -> None:
        """Connect to a target and leave the one before.

        Args:
            target: Where to; a text is a name or an address.
            plain: Whether to send no probe and no optional keys; the target's own way if not given.
            probe_again: Ask the target to describe itself even if it is remembered that it cannot.
            tls: Files of TLS that go before those of the session and of a named target.

        Raises:
            UsageError: The target's text makes no sense.
            ConnectionFailed: No connection could be made. A target from before stays; without one, this target is
                kept, and the next call tries again.
            Cancelled: Ctrl-C was pressed; the same holds.
        """
        found = self._book.find(target)
        client = self._client(found, found.plain or self._plain if plain is None else plain, tls)
        link = Link(client, self._memory, found)
        try:
            client.connect()
        except (ConnectionFailed, KeyboardInterrupt) as error:
            if self._link is None:
                self._adopt(link, "lost")
            if isinstance(error, KeyboardInterrupt):
                raise Cancelled("cancelled while connecting") from None
            raise
        self._adopt(link, "connected")
        if self._background:
            self._book.used(found.name)
        self._describe_on_connect(probe_again)

    def disconnect(self) -> None:
        """Close the connection and forget the target; a spawned server goes on."""
        link, self._link = self._link, None
        if link is not None:
            link.retire()
            self._set_state("none")

    def hang_up(self) -> None:
        """Close the connection, which keeps a worker from others where that serves one only; the target stays."""
        link = self._link
        # Whoever uses it now, to ask for the catalog, needs it.
        if link is not None and link.lock.acquire(timeout=_IN_USE):
            try:
                link.client.close()
            finally:
                link.lock.release()

    def rest(self) -> None:
        """Close the connection until the next call needs one, so that it holds no worker meanwhile."""
        link = self._link
        if link is not None:
            with link.lock:
                link.client.close()

    def spawn(self, options: SpawnOptions) -> SpawnedServer:
        """Start a server and connect to it.

        Args:
            options: How to start it.

        Raises:
            UsageError: A server of this session is running.
            SpawnFailed: The server did not get ready.
            ConnectionFailed: It did, but cannot be reached.
        """
        from rpcshell.servers.spawn import SpawnedServer

        if self.server is not None and self.server.poll() is None:
            raise UsageError(f"a server is running already (pid {self.server.pid})", hint="end it first")
        former, self.server = self.server, None
        if former is not None:
            former.release()
        server = SpawnedServer.start(options)
        self.server = server
        server.watch(self._server_ended)
        found = self._book.find(Target.parse(server.addresses[0]))
        client = self._client(found, plain=False)
        self._adopt(Link(client, None, found), "lost")
        client.connect()
        self._set_state("connected")
        self._describe_on_connect(probe_again=False)
        return server

    def stop(self) -> None:
        """End the spawned server, gracefully at first.

        Raises:
            UsageError: This session has none.
        """
        server = self.server
        if server is None:
            raise UsageError("there is no server to stop: none was spawned here")
        self.server = None
        if self._link is not None and str(self._link.client.target) in server.addresses:
            self.disconnect()
        server.stop()

    def close(self) -> None:
        """Disconnect, and end the spawned server unless it was started to be kept."""
        self.disconnect()
        server, self.server = self.server, None
        if server is not None:
            if server.kept:
                server.release()
            else:
                server.stop()

    def call(self, method: str, params: object = None, *, observer: Exchange | None = None) -> CallOutcome:
        """Call a method of the target, reconnecting first where the connection was lost.

        Args:
            method: The method's name.
            params: What JSON can carry.
            observer: Takes times and bytes; without one, nothing is noted.

        Raises:
            CallError: The server answered with an error.
            NotConnected: There is no target.
            Cancelled: Ctrl-C was pressed; the connection was closed.
            ShellError: As `Client.exchange`.
        """
        link = self._link
        if link is None:
            raise NotConnected
        requests = None
        try:
            with link.lock:
                requests = link.client.requests
                began = time.monotonic()
                described = link.method(method)
                connections = link.client.connections
                reply = link.client.exchange(
                    method,
                    params,
                    timeout=self.limit,
                    meta=self.meta and link.described.is_set(),
                    idempotent=described is not None and described.idempotent,
                    observer=observer,
                )
        except KeyboardInterrupt:
            sent = requests is not None and link.client.requests != requests
            raise Cancelled(_STILL_RUNNING if sent else _NOT_SENT) from None
        except (ConnectionFailed, ConnectionLost) as error:
            self._set_state("lost")
            if self.server is not None:
                self.server.explain(error)
            raise
        elapsed = time.monotonic() - began
        self._set_state("connected")
        self._look_for_reload(link, reply, reconnected=link.client.connections != connections)
        if (fault := CallError.of_reply(method, reply, elapsed)) is not None:
            raise fault
        return CallOutcome(method, params, reply, elapsed, reply.meta)

    def method(self, name: str) -> Method | None:
        """What the target says about a method, or None. Asks the target, or waits for its answer, if need be."""
        link = self._link
        if link is None:
            return None
        if not link.described.is_set():
            try:
                if link.refreshing:
                    # The thread sets the event at its end, whatever comes of it.
                    link.described.wait()
                else:
                    self._described(link, link.describe(probe_again=False))
            except KeyboardInterrupt:
                raise Cancelled("cancelled while asking the server what it offers") from None
        return link.method(name)

    def refresh(self, *, probe_again: bool = False) -> None:
        """Ask the target again what it offers: in the background, or at once where the session has none.

        Args:
            probe_again: Ask also a target that could not describe itself before.
        """
        link = self._link
        if link is None or link.refreshing or (link.client.plain and not probe_again):
            return
        if self._background:
            link.describe_in_background(self._described, probe_again=probe_again)
        else:
            self._described(link, link.describe(probe_again=probe_again))

    def _client(self, where: Destination, plain: bool, tls: TlsFiles | None = None) -> Client:
        # The first prompt needs no socket.
        from rpcshell.client.client import CONNECT_TIMEOUT, Client

        limit = CONNECT_TIMEOUT if self.timeout is None else min(self.timeout, CONNECT_TIMEOUT)
        given = [files for files in (tls, self._tls, where.tls) if files is not None]
        files = given[0].before(*given[1:]) if given else None
        return Client(where.target, connect_timeout=limit, plain=plain, tls=files)

    def _adopt(self, link: Link, state: State) -> None:
        former, self._link = self._link, link
        if former is not None:
            former.retire()
        self._state = state
        self._changed()

    def _set_state(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._changed()

    def _changed(self) -> None:
        for callback in self._watchers:
            callback()

    def _describe_on_connect(self, probe_again: bool) -> None:
        link = self._link
        if link is None:
            return
        if link.client.plain:
            link.described.set()
        elif self._background:
            link.describe_in_background(self._described, probe_again=probe_again)

    def _described(self, link: Link, found: Discovery) -> None:
        if link is self._link:
            if found.note and (self._background or not found.refused):
                self.notes(found.note)
            self._changed()

    def _look_for_reload(self, link: Link, reply: Reply, *, reconnected: bool) -> None:
        """Ask for the catalog anew when the server has changed since."""
        former = link.generation
        if reply.meta is not None:
            link.generation = reply.meta.generation
        reloaded = former is not None and link.generation != former
        if self._background and (reloaded or reconnected):
            self.refresh()

    def _server_ended(self, server: SpawnedServer) -> None:
        if server is self.server:
            self.notes(f"the server (pid {server.pid}) {server.how_it_ended()}; its log is {server.log}")
            if self._link is not None and str(self._link.client.target) in server.addresses:
                self._set_state("lost")
