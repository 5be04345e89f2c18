"""One session: the target, its connection and catalog, and the server that was spawned, if any.

A frontend asks a session for all beyond the screen. Servers are `rpcshell.servers.spawn`'s; nothing here prints.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from rpcshell.client.errors import (
    CallError,
    Cancelled,
    ConnectionFailed,
    ConnectionLost,
    NotConnected,
    ProtocolError,
    ShellError,
    UsageError,
)
from rpcshell.client.target import Target
from rpcshell.client.trace import CallTrace
from rpcshell.shell.address_book import AddressBook, Destination
from rpcshell.shell.listeners import Listeners, Reports
from rpcshell.view.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcshell.client.target import TlsFiles
    from rpcshell.client.verdict import Finding
    from rpcshell.line.catalog import Catalog, Method
    from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
    from rpcshell.servers.target_memory import TargetMemory
    from rpcshell.shell.call import Call
    from rpcshell.shell.config import Config
    from rpcshell.shell.discovery import Discovery
    from rpcshell.shell.fleet import Fleet
    from rpcshell.shell.target_connection import TargetConnection
    from rpcshell.shell.unasked import Unasked
    from rpcshell.shell.why.sighting import Sighting
    from rpcwire import Reply

State = Literal["none", "connected", "lost"]
"""Of a session: without a target, with a connection that worked last time, or with one that did not."""

_IN_USE: Final = 0.5
"""Seconds to wait for a connection that is in use before it is left alone."""


class Leave(Exception):
    """The session is to be left; caught by the frontend."""


class Session(Listeners):
    """The state that calls and commands share.

    Calls are made from one thread. With `background` a thread of the session's own asks the target what it offers, upon
    connecting; otherwise it is asked when that is first needed. The catalog is replaced whole, so that readers need no
    lock.

    Args:
        settings: How long a call may take, and whether it asks who served it; their changes hold at once.
        plain: Send no probe, and nothing but a method and its params.
        memory: Gives the place where it is remembered which targets were used, and which cannot describe themselves.
        tls: Files of TLS that go before those of a named target.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plain: bool = False,
        background: bool = True,
        memory: Callable[[], TargetMemory] | None = None,
        config: Config | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        super().__init__()
        self.settings = Settings() if settings is None else settings
        self.server: SpawnedServer | None = None
        self._plain = plain
        self._background = background
        self._memory = memory
        self.book = AddressBook(config, memory)
        self._tls = tls
        self._connection: TargetConnection | None = None
        self.state: State = "none"
        """Whether there is a target, and whether its connection worked last time."""

    @property
    def target(self) -> Target | None:
        """Where calls go, or None."""
        return self._connection.target if self._connection else None

    @property
    def name(self) -> str | None:
        """What the user calls the target: its name in the configuration, or its address; None without one."""
        return self._connection.name if self._connection else None

    @property
    def catalog(self) -> Catalog:
        """What the target is known to offer; immutable, and empty until the target has told."""
        # A run whose lines need no catalog spares the import.
        from rpcshell.line.catalog import EMPTY_CATALOG

        return (self._connection and self._connection.catalog) or EMPTY_CATALOG

    @property
    def unasked(self) -> Unasked | None:
        """What the server says unasked, or None where it only answers, or there is none."""
        return self._connection.unasked if self._connection else None

    @property
    def fleet(self) -> Fleet | None:
        """The instances that calls go to, or None where there is a single server, or none."""
        return self._connection.fleet if self._connection else None

    @property
    def finding(self) -> Finding | None:
        """What was found out of a target whose dialect nobody had named, where anything had to be in this session."""
        return self._connection.finder.finding if self._connection and self._connection.finder else None

    @property
    def plain(self) -> bool:
        """Whether requests carry only a method and its params."""
        return self._connection.plain if self._connection else self._plain

    @property
    def tls(self) -> TlsFiles | None:
        """The files that the target is verified with, and those that it is shown; None without a target."""
        return self._connection.tls if self._connection else None

    @property
    def limit(self) -> float | None:
        """Seconds for a call: the session's own, or what the target's configuration has, or None for no limit."""
        own = self.settings.timeout
        return self._connection.timeout if own is None and self._connection else own

    @property
    def discovering(self) -> bool:
        """Whether the target is being asked what it offers."""
        return self._connection is not None and self._connection.refreshing

    def connect(
        self,
        target: Target | str,
        *,
        plain: bool | None = None,
        probe_again: bool = False,
        tls: TlsFiles | None = None,
        prepare: Callable[[Destination], object] | None = None,
    ) -> None:
        """Connect to a target, a name or an address, and leave the one before.

        With `probe_again` the target is asked to describe itself even if it is remembered that it cannot. `prepare`
        runs the target's lines, where it has any: now, and before the first call on each new connection. What is not
        said of `plain` and TLS, the session and the target's configuration say.

        Raises:
            UsageError: The target's text makes no sense.
            ConnectionFailed, Cancelled: No connection could be made, or Ctrl-C was pressed. A target from before stays;
                without one, this target is kept, and the next call tries again.
            ShellError: What `prepare` raised; the connection stays.
        """
        found = self.book.find(target)
        plain = found.config.plain or self._plain if plain is None else plain
        connection = self._connection_to(found, plain=plain, tls=(tls, self._tls), prepare=prepare)
        try:
            connection.connect()
        except (ConnectionFailed, ProtocolError, Cancelled):
            if self._connection is None:
                self._adopt(connection, "lost")
            else:
                connection.retire()
            raise
        self._adopt(connection, "connected")
        if self._background:
            self.book.used(found.name)
        self._describe_on_connect(connection, probe_again=probe_again)
        connection.prepare()

    def disconnect(self) -> None:
        """Close the connection and forget the target; a spawned server goes on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.retire()
            self._set_state("none")

    def hang_up(self, *, wait: bool = False) -> None:
        """Close the connection, which may hold a worker, unless it is in use, or once it is not; the target stays."""
        if self._connection is not None:
            self._connection.close(patience=-1 if wait else _IN_USE)

    def spawn(self, options: SpawnOptions) -> SpawnedServer:
        """Start a server and connect to it.

        Raises:
            UsageError: A server of this session is running, or the options make no sense.
            SpawnFailed, Cancelled: It did not get ready, or Ctrl-C was pressed; it was ended.
            ConnectionFailed: It got ready, but cannot be reached.
        """
        from rpcshell.servers.spawn import SpawnedServer

        if self.server is not None and self.server.poll() is None:
            raise UsageError(f"a server is running already (pid {self.server.pid})", hint="end it first")
        former, self.server = self.server, None
        if former is not None:
            former.release()
        server = self.server = SpawnedServer.start(options)
        if server.log_problem is not None:
            self._note(server.log_problem)
        server.watch(self._server_ended)
        address = server.addresses[0]
        where = Destination(Target.parse(address), address, named=True)
        connection = self._connection_to(where, own=True, plain=False, tls=(self._tls,))
        self._adopt(connection, "lost")
        connection.connect()
        self._set_state("connected")
        self._describe_on_connect(connection)
        return server

    def stop(self) -> None:
        """End the spawned server, gracefully at first; raises `UsageError` where this session has none."""
        if (server := self.server) is None:
            raise UsageError("there is no server to stop: none was spawned here")
        if self.spawned_at(self.target) is not None:
            self.disconnect()
        self.server = None
        server.stop()

    def spawned_at(self, target: Target | None) -> SpawnedServer | None:
        """The server that was spawned here, whether it still runs or not, if a target leads to it."""
        return self.server if self.server is not None and str(target) in self.server.addresses else None

    def close(self, *, at_once: bool = False) -> None:
        """Disconnect, and end the spawned server unless it was started to be kept; nothing is told any more.

        With `at_once` the server does not finish what it does, also after a close that was interrupted.
        """
        self.silent = True
        self.disconnect()
        if (server := self.server) is not None and server.kept:
            server.release()
        elif server is not None:
            server.stop(drain=0 if at_once else None)
        self.server = None

    def call(self, method: str, params: object = None) -> Call:
        """Call a method of the target, reconnecting first where the connection was lost; raises as `Client.call` does.

        Without a target that is `NotConnected`, and `Cancelled` where Ctrl-C was pressed.
        """
        call = self.attempt(method, params)
        if call.error is not None:
            raise call.error
        return call

    def attempt(self, method: str, params: object = None, *, line: str = "", sighting: Sighting | None = None) -> Call:
        """Call a method of the target as `call` does, and tell what came of it, whatever that is.

        The line is what was typed; the sighting looks at the server if the call hangs.
        """
        from rpcshell.shell.call import Call

        began = time.time()
        trace = CallTrace() if sighting is None else sighting.trace
        reply: Reply | None = None
        error: ShellError | None
        try:
            reply, elapsed = self._exchange(method, params, trace)
            error = CallError.of_reply(method, reply, elapsed, trace.instance)
        except ShellError as failure:
            error, elapsed = failure, time.monotonic() - trace.began
        trace.end()
        catalog = self._connection and self._connection.catalog
        return Call(
            method=method,
            params=params,
            line=line,
            target=str(self.target or ""),
            began=began,
            elapsed=elapsed,
            reply=reply if error is None else None,
            error=error,
            trace=trace,
            names=catalog.param_names(method) if catalog else (),
            sighting=sighting,
        )

    def _exchange(self, method: str, params: object, trace: CallTrace) -> tuple[Reply, float]:
        """The reply to a call, good or not, and the seconds it took."""
        if (connection := self._connection) is None:
            raise NotConnected
        meta = self.settings.meta or self.settings.time
        try:
            reply, elapsed, renewed = connection.exchange(method, params, timeout=self.limit, meta=meta, trace=trace)
        except (ConnectionFailed, ConnectionLost) as error:
            goes_on = connection.fleet is not None and connection.fleet.ready
            self._set_state("connected" if goes_on else "lost")
            if self.server is not None:
                self.server.explain(error)
            raise
        self._set_state("lost" if connection.ended else "connected")
        connection.tell_end()
        if renewed and self._background:
            self.refresh()
        return reply, elapsed

    def method(self, name: str, *, params: bool = True) -> Method | None:
        """What the target says about a method, or None. Asks the target, or waits for its answer, if need be.

        There is no need without params where these are the same for all methods.
        """
        if (connection := self._connection) is None:
            return None
        if not connection.described.is_set() and (params or not connection.absent_params):
            try:
                if connection.refreshing:
                    # The thread sets the event at its end, whatever comes of it.
                    connection.described.wait()
                else:
                    connection.describe(probe_again=False)
            except KeyboardInterrupt:
                raise Cancelled("cancelled while asking the server what it offers") from None
        return connection.method(name)

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any], wait: bool = False) -> list[str]:
        """What the target says that a parameter may be; nothing, without waiting, where its connection is in use."""
        return self._connection.complete(method, param, typed, others, wait=wait) if self._connection else []

    def refresh(self) -> None:
        """Ask the target again what it offers, unless it is plain."""
        if (connection := self._connection) is not None and not connection.refreshing and not connection.plain:
            (connection.describe_in_background if self._background else connection.describe)(probe_again=False)

    def _connection_to(self, where: Destination, *, own: bool = False, **options: Any) -> TargetConnection:
        # The first prompt needs no socket.
        from rpcshell.shell.target_client import connection_to

        reports = Reports(self._note, self._progress, self._described, self._connection_ended)
        memory = None if own else self._memory
        return connection_to(where, memory, reports, limit=self.settings.timeout, **options)

    def _adopt(self, connection: TargetConnection, state: State) -> None:
        former, self._connection = self._connection, connection
        if connection.fleet is not None:
            connection.fleet.on_change(partial(self._fleet_changed, connection))
        if former is not None:
            former.retire()
        self.state = state
        self._changed()

    def _set_state(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._changed()

    def _describe_on_connect(self, connection: TargetConnection, *, probe_again: bool = False) -> None:
        if connection.plain:
            connection.described.set()
        elif self._background:
            connection.describe_in_background(probe_again=probe_again)

    def _described(self, connection: object, found: Discovery) -> None:
        if connection is self._connection:
            for line in found.lines(at_prompt=self._background):
                self._note(line)
            self._changed()
            if self._background and (fleet := self.fleet) is not None:
                # Last, as it may take its time.
                self._tell_of_fleet(connection, fleet.compare())

    def _connection_ended(self, connection: object, how: str, again: bool) -> None:
        if connection is self._connection:
            self._set_state("lost")
            if self._background or not again:
                self._note(how)

    def _fleet_changed(self, connection: object, text: str) -> None:
        self._tell_of_fleet(connection, text)
        if connection is self._connection:
            self._changed()

    def _tell_of_fleet(self, connection: object, text: str) -> None:
        # A script's calls tell by themselves what becomes of them.
        if text and self._background and connection is self._connection:
            self._note(text)

    def _server_ended(self, server: SpawnedServer) -> None:
        if server is self.server:
            self._note(f"the server (pid {server.pid}) {server.how_it_ended()}; its log is {server.log}")
            if self.spawned_at(self.target) is not None:
                self._set_state("lost")
