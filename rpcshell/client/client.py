"""The blocking client, made for programs as well as for the shell, and what it has in common with the asyncio client.

Threads, catalogs and anything on a screen are elsewhere.
"""

from __future__ import annotations

import os
import threading
import time
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

from rpcshell.client.connection import Connection
from rpcshell.client.dialects.native import Native
from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, ShellError, UsageError
from rpcshell.client.exchange import Dropped, Requester
from rpcshell.client.fleet import Attempts, Fleet
from rpcshell.client.target import Target, TcpTarget
from rpcwire import MAX_REPLY
from rpcwire.numbers import FLOAT_HOOKS

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TypedDict, Unpack

    from rpcshell.client.dialects import Description, Dialect, Steps
    from rpcshell.client.target import TlsFiles
    from rpcshell.client.trace import Trace
    from rpcwire import Floats, Reply

    class ClientOptions(TypedDict, total=False):
        """What clients take beside their target, as `Client` documents it."""

        timeout: float | None
        connect_timeout: float
        plain: bool
        max_reply: int
        floats: Floats
        tls: TlsFiles | None


__all__ = ["CONNECT_TIMEOUT", "TIMEOUT", "AnyClient", "Client", "as_target", "connect"]

_T = TypeVar("_T")

TIMEOUT: Final = 90.0
"""Seconds a call may take unless told otherwise: longer than the 60 s after which rpcserver ends a request itself."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for making a connection unless told otherwise."""


_CLIENTS: Final[WeakSet[AnyClient]] = WeakSet()
"""Those of this process: a hook for fork(2) cannot be taken back, so that there is one for all of them."""


class AnyClient:
    """What the blocking and the asyncio client have in common; `Client` documents it."""

    _dialect: type[Dialect] = Native

    def __init__(
        self,
        target: Target,
        *,
        timeout: float | None = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        plain: bool = False,
        max_reply: int = MAX_REPLY,
        floats: Floats = "float",
        tls: TlsFiles | None = None,
    ) -> None:
        self.target = target
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.plain = plain
        self.tls = tls
        self._max_reply = max_reply
        if floats not in FLOAT_HOOKS:
            raise UsageError(f"floats is one of {', '.join(FLOAT_HOOKS)}, not {floats!r}")
        self._floats: Floats = floats
        self._fleet = Fleet(target)
        _CLIENTS.add(self)

    def _after_fork(self) -> None:
        """Let go, in a child that was forked, of what is the parent's: connections, and turns that its threads have."""
        raise NotImplementedError

    def _requester(self, instance: Target) -> Requester:
        """What speaks for this client on a new connection to an instance."""
        return Requester(instance, self._dialect(self._max_reply, self._floats))

    def _limit(self, timeout: float | EllipsisType | None) -> float | None:
        """The seconds that a call may take."""
        limit = self.timeout if isinstance(timeout, EllipsisType) else timeout
        if limit is not None and not limit >= 0:
            raise UsageError(f"a time limit is a number of seconds from 0, not {limit}")
        return limit

    def _dialling_limit(self, deadline: float | None, now: float) -> float:
        """The seconds that a connection may take to be made."""
        return self.connect_timeout if deadline is None else min(self.connect_timeout, max(deadline - now, 0.001))


def _after_fork() -> None:
    for client in tuple(_CLIENTS):
        client._after_fork()


os.register_at_fork(after_in_child=_after_fork)


class Client(AnyClient):
    """A blocking client of one target, with one connection that is made when it is needed.

    Threads may share it: their calls are made one after the other, and waiting counts to their time. A process that is
    forked makes a connection of its own, as soon as it calls.

    A request is sent again, once the connection was lost, only where it provably did not run (it was never sent whole,
    or the server announced the close before its reply) or where the caller says that it is idempotent.

    Args:
        target: Where the server listens.
        timeout: Seconds for a whole call, connecting included, or None for no limit.
        connect_timeout: Seconds for making a connection.
        plain: Send nothing but the method and its params: for servers that know no more of the protocol.
        max_reply: The largest reply accepted, in bytes.
        floats: What numbers with a fraction or an exponent become: "float", the nearest that Python has; "decimal", a
            `decimal.Decimal` with every digit, which is also sent as a number then and not as a string; or "text", a
            float that is sent and shown as it came.
        tls: The files that a TLS target is verified with, and those that it is shown.

    Attributes:
        connections: How many connections were made so far.
        requests: How many times a request was, at least in part, sent so far.
    """

    connections = requests = 0
    _connection: Connection | None = None
    _caller: int | None = None

    def __init__(self, target: Target, **options: Unpack[ClientOptions]) -> None:
        super().__init__(target, **options)
        # Who is interrupted while it takes this can still give it back, as it knows whose it is.
        self._turn = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.target}{'' if self._connection else ', not connected'}>"

    @property
    def connected(self) -> bool:
        """Whether a connection is held; whether it still works shows only when it is used."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect now, rather than with the first call.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        self._new_caller()
        with self._turn:
            self._ready(self._fleet.choose(), None, None)

    def close(self) -> None:
        """Close the connection, so that a call of another thread ends with ConnectionLost. The next makes a new one."""
        if self._caller != threading.get_ident() and self._turn.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._turn.release()
        elif (connection := self._connection) is not None:
            connection.shut_down()

    def _after_fork(self) -> None:
        """Close the child's descriptor, which does not end the parent's connection."""
        self._turn = threading.RLock()
        self._caller = None
        self._drop()

    def _new_caller(self) -> int:
        """Who calls: a thread, though not one that a signal has interrupted in a call."""
        caller = threading.get_ident()
        if self._caller == caller:
            raise UsageError("a call is under way on this client", hint="call from signal handlers over another one")
        return caller

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def call(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
    ) -> Any:
        """Call a method and return its result.

        Args:
            method: The method's name.
            params: What JSON can carry: usually a dict of parameters by name, or a list by position.
            timeout: Seconds for the whole call, None for no limit; the client's own if not given.
            idempotent: Whether the call may be sent again when the connection was lost on the way.

        Raises:
            CallError: The server answered with an error.
            ConnectionFailed: No connection could be made; the request did not run.
            ConnectionLost: The connection ended before the reply.
            CallTimeout: No reply came in time.
            ProtocolError: What answered does not speak the protocol.
            UsageError: JSON cannot carry the params; or a signal's handler has interrupted a call on this client.

        Example:
            >>> client.call("add", {"a": 1, "b": 2})  # doctest: +SKIP
            3.0
        """
        began = time.monotonic()
        reply = self.exchange(method, params, timeout=timeout, idempotent=idempotent)
        if (error := CallError.of_reply(method, reply, time.monotonic() - began)) is not None:
            raise error
        return reply.result

    def exchange(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
        meta: bool = False,
        trace: Trace | None = None,
    ) -> Reply:
        """Call a method and return the whole reply, an error reply too.

        Args:
            method: The method's name.
            params: What JSON can carry.
            timeout: Seconds for the whole call, None for no limit; the client's own if not given.
            idempotent: Whether the call may be sent again when the connection was lost on the way.
            meta: Whether to ask who served it (not of plain targets).
            trace: Is told of what happens to it.

        Raises:
            ShellError: As `call`, but for CallError.
        """
        limit = self._limit(timeout)
        deadline = None if limit is None else time.monotonic() + limit
        attempts = Attempts(self._fleet, idempotent)
        turn, caller = self._turn, self._new_caller()
        try:
            if not turn.acquire(True, -1 if limit is None else min(limit, threading.TIMEOUT_MAX)):
                raise CallTimeout(limit or 0.0, method=method, may_have_run=False)
            self._caller = caller
            while True:
                try:
                    connection = self._ready(attempts.instance, deadline, trace)
                    return self._attempt(connection, method, params, meta, deadline, trace)
                except ConnectionFailed as error:
                    attempts.not_connected(error)
                    raise
                except TimeoutError:
                    raise CallTimeout(limit or 0.0, method=method) from None
                except Dropped as dropped:
                    attempts.lost(dropped)
        finally:
            if self._caller == caller:
                self._caller = None
            try:  # noqa: SIM105 - suppress() takes longer than all else here
                turn.release()
            except RuntimeError:
                pass  # It never was this thread's.
            if trace is not None:
                trace.call_ended()

    def describe(self) -> Description:
        """Ask the server what it offers.

        Raises:
            ShellError: As `exchange`, where that says nothing about what it can tell of itself.
        """
        return self._follow(self._dialect.describe())

    def _follow(self, steps: Steps[_T]) -> _T:
        """Make the requests that a dialect wants to have made."""
        try:
            ask = next(steps)
            while True:
                try:
                    reply = self.exchange(ask.method, ask.params, timeout=ask.timeout)
                except ShellError as error:
                    ask = steps.throw(error)
                else:
                    ask = steps.send(reply)
        except StopIteration as end:
            outcome: _T = end.value
            return outcome

    def _attempt(
        self,
        connection: Connection,
        method: str,
        params: object,
        meta: bool,
        deadline: float | None,
        trace: Trace | None,
    ) -> Reply:
        self.requests += 1
        try:
            return connection.exchange(method, params, meta=meta, plain=self.plain, deadline=deadline, trace=trace)
        finally:
            # After a timeout or an interrupt the reply may still come: no later call may take it for its own.
            if not connection.reusable:
                self._drop()

    def _ready(self, instance: Target, deadline: float | None, trace: Trace | None) -> Connection:
        if self._connection is not None:
            if self._connection.usable():
                return self._connection
            self._drop()
        limit = self._dialling_limit(deadline, time.monotonic())
        if trace is not None:
            trace.connecting()
        self._connection = self._open(instance, limit)
        if trace is not None:
            trace.connection_made()
        self.connections += 1
        return self._connection

    def _open(self, instance: Target, timeout: float) -> Connection:
        return Connection.open(self._requester(instance), timeout=timeout, tls=self.tls)


def connect(target: str | tuple[str, int] | Target, **options: Unpack[ClientOptions]) -> Client:
    """Connect to a server.

    Args:
        target: `host:port`, `port`, `[v6]:port`, `unix:/path`, `tls://host:port`, or a (host, port) pair.
        options: As `Client` takes them: `timeout`, `connect_timeout`, `plain`, `max_reply`, `floats`, `tls`.

    Raises:
        UsageError: The target's text makes no sense.
        ConnectionFailed: No connection could be made.

    Example:
        >>> with connect("127.0.0.1:8080") as client:  # doctest: +SKIP
        ...     client.call("ping", {"a": 1})
        {'a': 1}
    """
    client = Client(as_target(target), **options)
    client.connect()
    return client


def as_target(target: str | tuple[str, int] | Target) -> Target:
    """The target that a text, a (host, port) pair or a target names.

    Raises:
        UsageError: The text makes no sense.
    """
    if isinstance(target, str):
        return Target.parse(target)
    return TcpTarget(*target) if isinstance(target, tuple) else target
