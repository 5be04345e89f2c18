"""A session's connection to one target: the client, the catalog, and the lock that lets one thread at a time use them.

When to ask for the catalog and whom to tell about it is the session's decision.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.errors import Cancelled, ConnectionFailed, ShellError
from rpcshell.client.target import ChildTarget, FleetTarget
from rpcshell.client.threads import thread_for
from rpcshell.shell.cancelling import NOT_SENT, Cancelling
from rpcshell.shell.elapsed import elapsed_text, told_while
from rpcshell.shell.fleet import Fleet
from rpcshell.shell.listeners import NO_REPORTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcshell.client.client import Client
    from rpcshell.client.dialects import Event
    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.client.trace import CallTrace
    from rpcshell.line.catalog import Catalog, Method
    from rpcshell.servers.target_memory import TargetMemory
    from rpcshell.shell.address_book import Destination
    from rpcshell.shell.dialect_finder import DialectFinder
    from rpcshell.shell.discovery import Discovery
    from rpcshell.shell.listeners import Reports
    from rpcshell.shell.unasked import Unasked
    from rpcwire import Meta, Reply

_COMPLETION: Final = 2.0
"""Seconds that a server has to say what a parameter may be: a call has to wait for that."""


class TargetConnection:
    """A client, which is used with a lock held, and what its target has told about itself.

    The target's lines, which come first on each new connection, are run by `prepare`. Where a `finder` finds out what
    is spoken, `client_at` makes the client that speaks it.

    Attributes:
        timeout: Seconds for a call, or None for no limit of the target's own.
        catalog: What the target offers, replaced whole, or None until it has told.
        described: Set once it is known whether the target describes itself.
        refreshing: Whether the target is being asked.
        unasked: What its server says unasked, or None where it only answers.
        fleet: The instances that calls go to, or None where there is a single server.
        ended: Whether the connection has ended by itself since the last call began.
    """

    def __init__(
        self,
        client: Client,
        memory: Callable[[], TargetMemory] | None,
        where: Destination,
        prepare: Callable[[Destination], object] | None = None,
        reports: Reports = NO_REPORTS,
        finder: DialectFinder | None = None,
        client_at: Callable[[Target], Client] | None = None,
    ) -> None:
        self.name = where.name
        self.timeout = where.config.timeout
        self.catalog: Catalog | None = None
        self.described = threading.Event()
        self.ended = self.refreshing = self._retired = self._preparing = self._outdated = self._missed = False
        self._untold: Exception | None = None
        self.finder = finder
        self._client, self._client_at = client, client_at
        self._lock = threading.Lock()
        self._cancelling = Cancelling()
        self._generations: dict[Target | None, int | None] = {}
        """By the replies to calls: of the server, or of each instance of a fleet."""
        self.fleet = Fleet(client, self.offers_changed) if isinstance(client.target, FleetTarget) else None
        self._memory, self._reports = memory, reports
        self._prepare = partial(prepare, where) if prepare is not None and where.config.init else None
        self._prepared = 0
        self._hear()

    @property
    def target(self) -> Target:
        """Where calls go."""
        return self._client.target

    @property
    def plain(self) -> bool:
        """Whether requests carry only a method and its params."""
        return self._client.plain

    @property
    def tls(self) -> TlsFiles | None:
        """The files that the target is verified with, and those that it is shown."""
        return self._client.tls

    @property
    def absent_params(self) -> bool:
        """Whether a call without params means the same for every method."""
        return self._client.absent_params

    def connect(self) -> None:
        """Make the connection; raises `Cancelled` upon Ctrl-C, and else as `Client.connect` does."""
        try:
            try:
                first = self.finder is not None and self.finder.looks_first()
                if not first:
                    self._connect()
                    first = self.finder is not None and self.finder.looks_first(self._client.listening_program())
                if self.finder is not None and first:
                    self._client.close()
                    if self.finder.look():
                        self._turn_to(self.finder.target)
                    self._connect()
            except ShellError as error:
                if not self._turned(error):
                    raise
                self._connect()
        except KeyboardInterrupt:
            raise Cancelled("cancelled while connecting") from None

    @property
    def _gone(self) -> bool:
        """Whether a server that may speak unasked has to be connected to first, which may take its time."""
        return self.unasked is not None and not self.unasked.connected

    def _connect(self) -> None:
        """Make the connection where there is none that works, and tell how it looks if that takes its time."""
        if self._reports.progress is None:
            self._client.connect()
            return
        so_far = elapsed_text(f"connecting to {self.name}")

        def text() -> str:
            # A child's own last line goes with it.
            said = () if self.unasked is None else self.unasked.strays.recent()
            return f"{so_far()} · {said[-1].text}" if said else so_far()

        with told_while(text, self._reports.progress):
            self._client.connect()

    def prepare(self) -> None:
        """Connect if need be, and make the calls that come first on a new connection, where there are such.

        Raises what `connect` does, and what one of these calls raised, which is not made again then.
        """
        if self._prepare is None or self._preparing:
            return
        try:
            with self._lock:
                self._connect()
                former, self._prepared = self._prepared, self._client.connections
        except KeyboardInterrupt:
            raise Cancelled(NOT_SENT) from None
        if former != self._prepared:
            self._preparing = True
            try:
                self._prepare()
            finally:
                self._preparing = False

    def method(self, name: str) -> Method | None:
        """What the target has told about a method."""
        return self.catalog.methods.get(name) if self.catalog else None

    def exchange(
        self, method: str, params: object, *, timeout: float | None, meta: bool, trace: CallTrace
    ) -> tuple[Reply, float, bool]:
        """Call a method after whatever uses the client now; who serves it is asked only of a target that can say.

        Returns:
            The reply, good or not; the seconds it took; and whether the server may offer something else by now.

        Raises:
            Cancelled: Ctrl-C was pressed. The connection goes on where the dialect has it so, and is closed where the
                call before was cancelled too, and nothing has been answered since.
            ShellError: As `Client.exchange`.
        """
        self.prepare()
        requests = None
        try:
            with self._lock:
                requests, connections = self._client.requests, self._client.connections
                self.ended, self._untold = False, None
                if self._gone:
                    trace.connecting()
                    trace.told = True
                    self._connect()
                    trace.told = False
                    trace.connection_made()
                began = time.monotonic()
                if self.finder is not None:
                    self.finder.watch(trace, timeout)
                try:
                    reply = self._reply(method, params, timeout, meta, trace)
                except ShellError as error:
                    if not self._turned(error):
                        raise
                    requests = connections = 0
                    reply = self._reply(method, params, timeout, meta, trace)
                elapsed = time.monotonic() - began
                self._cancelling.answered()
                if self.finder is not None:
                    self.finder.confirm()
        except KeyboardInterrupt:
            if requests is None or self._client.requests == requests:
                raise Cancelled(NOT_SENT) from None
            raise self._cancelling.cancelled(self._client, self.unasked) from None
        reconnected = self._client.connections != connections and not self._client.one_call
        renewed = self._renewed(trace.instance, reply.meta, reconnected=reconnected)
        return reply, elapsed, renewed or self._missed

    def _renewed(self, instance: Target | None, meta: Meta | None, *, reconnected: bool) -> bool:
        """Whether who sent a reply was reloaded, or connected to anew and so may have been restarted."""
        met, former = instance in self._generations, self._generations.get(instance)
        self._generations[instance] = generation = former if meta is None else meta.generation
        reloaded = former is not None and generation != former
        # The first connection to an instance follows none that was lost.
        return reloaded or (reconnected and (met or instance is None))

    def _reply(self, method: str, params: object, timeout: float | None, meta: bool, trace: CallTrace) -> Reply:
        described = self.method(method)
        return self._client.exchange(
            method,
            params,
            timeout=timeout,
            meta=meta and self.described.is_set(),
            idempotent=described is not None and described.idempotent,
            trace=trace,
            partial=trace.on_partial,
        )

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any], *, wait: bool) -> list[str]:
        """Ask the target what a parameter may be; nothing where its connection is gone, or not waited for."""
        if not self._lock.acquire(blocking=wait):
            return []
        try:
            connected = self._client.connected and self._client.listens
            return self._client.complete(method, param, typed, others, timeout=_COMPLETION) if connected else []
        except ShellError:
            return []
        finally:
            self._lock.release()

    def describe(self, *, probe_again: bool) -> None:
        """Ask the target what it offers, after whatever uses the client now; with `probe_again` even a plain one."""
        with self._lock:
            if self._gone:
                try:
                    self._connect()
                except ConnectionFailed:
                    # The call that comes next meets the same failure and tells the user.
                    self.described.set()
                    return
            self.refreshing = True
            found = self._ask(probe_again)
        self._tell(found)

    def describe_in_background(self, *, probe_again: bool) -> None:
        """Ask the target what it offers in a thread; later calls wait for it."""
        begun = threading.Event()

        def run() -> None:
            try:
                with self._lock:
                    self.refreshing = True
                    begun.set()
                    found = self._ask(probe_again)
            finally:
                # Not before the lock is free: `retire` may have tried it until then.
                if self._retired:
                    self.retire()
            self._tell(found)

        if thread_for(run, "catalog") is None:
            run()
        # No call may come before the probe. An interrupt here leaves the lock to the thread that took it.
        begun.wait()

    def _tell(self, found: Discovery) -> None:
        if self._reports.described is not None:
            self._reports.described(self, found)

    def offers_changed(self) -> None:
        """Ask the target anew what it offers, if it was asked before; any thread may call this."""
        if self.catalog is not None and not self._outdated:
            # It cannot wait for its turn; where there is no other, the catalog stays as it is.
            self._outdated = True
            if thread_for(self._describe_anew, "catalog") is None:
                self._outdated = False

    def _describe_anew(self) -> None:
        with self._lock:
            # Once for all that has changed so far.
            self._outdated = False
            self._missed = not self._client.connected
            if self._retired or self._missed:
                # Whoever calls next asks: a connection for that alone would hold a worker, which others may need.
                return
            self.refreshing = True
            found = self._ask(probe_again=False)
        if self._retired:
            self.retire()
        self._tell(found)

    def close(self, patience: float = -1) -> None:
        """Close the connection until it is needed again, once nobody uses it.

        After `patience` seconds it is left alone, as whoever uses it needs it; -1 is no end.
        """
        if self._lock.acquire(timeout=patience):
            try:
                (self._client.close if self._retired else self._client.let_go)()
            finally:
                self._lock.release()

    def retire(self) -> None:
        """Close the connection for good, or leave that to the thread that is using it."""
        self._retired = True
        self.close(patience=0)

    def _ended(self, failure: Exception) -> None:
        if self.unasked is not None:
            self.unasked.events.wake()
        self.ended, self._untold = True, failure
        # Where a call is under way, its error tells; and where its reply has come before the end, whoever made it.
        if not self._lock.locked():
            self.tell_end()

    def tell_end(self) -> None:
        """Tell that the connection has ended by itself, if nobody was told."""
        failure, self._untold = self._untold, None
        if failure is None or self._reports.ended is None or self._retired:
            return
        # A `ShellError` names the target by itself.
        what = failure.message if isinstance(failure, ShellError) else f"{self.name}: {failure}"
        hint = getattr(failure, "hint", None)
        anew = "starts it anew" if isinstance(self.target, ChildTarget) else "makes a new connection"
        how = f"{what}{f'; {hint}' if hint else ''}; the next call {anew}"
        self._reports.ended(self, how, isinstance(failure, ShellError))

    def _ask(self, probe_again: bool) -> Discovery:
        from rpcshell.shell.discovery import described

        try:
            if probe_again:
                self._client.plain = False
            memory = self._memory and self._memory()
            found = described(
                self._client, memory, self.finder, self._turn_to, probe_again=probe_again, known=self.catalog
            )
            self.catalog = found.catalog
            self._client.plain = found.plain
            self._missed = False
        finally:
            self.refreshing = False
            self.described.set()
        return found

    def _turned(self, error: ShellError) -> bool:
        """Whether an error means that the target speaks another dialect, which is spoken from now on."""
        if self.finder is None or not self.finder.changes_dialect(error):
            return False
        self._turn_to(self.finder.target)
        return True

    def _turn_to(self, target: Target) -> Client:
        """Speak to the target as it has been found out to speak."""
        self._client.close()
        if self._client_at is not None:
            self._client = self._client_at(target)
        self.catalog = None
        self.described.clear()
        self._hear()
        return self._client

    def _hear(self) -> None:
        """Keep what the server says unasked, if its dialect has such things."""
        self.unasked: Unasked | None = None
        if self._client.listens:
            from rpcshell.shell.unasked import Unasked

            self.unasked = Unasked(self._client, self.name)
            self.unasked.hearing.handle(event=partial(self._take_event, self.unasked), end=self._ended)

    def _take_event(self, unasked: Unasked, event: Event) -> None:
        unasked.events.add(event)
        if event.offers_changed:
            self.offers_changed()
