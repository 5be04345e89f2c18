"""The blocking client, made for programs as well as for the shell.

Threads, catalogs and anything on a screen are elsewhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from rpcshell.client.any_client import AnyClient
from rpcshell.client.connection import Connection
from rpcshell.client.dialects import Ask, Description, Event, Step, Steps, follow
from rpcshell.client.dialects.steps import offered
from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, UsageError
from rpcshell.client.exchange import Dropped
from rpcshell.client.retry import Attempts
from rpcshell.client.target import FleetTarget, Target

if TYPE_CHECKING:
    from types import EllipsisType

    from rpcshell.client.any_client import ClientOptions
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.hearing import Hearing
    from rpcshell.client.listening import ListeningConnection
    from rpcshell.client.trace import CallTrace
    from rpcwire import Reply

_T = TypeVar("_T")


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
        openrpc: An OpenRPC document of the server, which is then not asked for one: a file, or a list with a command
            that prints it.
        answers: Functions that answer what the server asks of its client, as `on_request` takes one, each by its
            method and from the first moment on. Servers of MCP are told of `sampling/createMessage` among them.
        options: What is set for the server, as the dialect has it: `settings` of LSP, for one.
        dialect: What is spoken there, where the target names nothing, or a name of your own: an `Envelope`, or a class
            such as the guide `own-dialect.md` tells how to write.

    Attributes:
        connections: How many connections were made so far.
        requests: How many times a request was, at least in part, sent so far.
    """

    connections = requests = 0
    _connection: Connection | ListeningConnection | None = None
    _left: Connection | None = None
    """One that was left with an answer due: a server may die of giving it to nobody."""
    _hearing_of: Hearing | None = None
    _caller: int | None = None

    def __init__(self, target: Target, **options: Unpack[ClientOptions]) -> None:
        super().__init__(target, **options)
        # Who is interrupted while it takes this can still give it back, as it knows whose it is.
        self._turn = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
            self._ready(None, None)

    def listening_program(self) -> str:
        """Who listens at the other end of a Unix socket, where that is known: a program and its process."""
        return self._connection.program() if isinstance(self._connection, Connection) else ""

    def close(self) -> None:
        """Close the connection, so that a call of another thread ends with ConnectionLost. The next makes a new one."""
        if self._caller != threading.get_ident() and self._turn.acquire(blocking=False):
            try:
                self._drop()
                self._drop_left()
            finally:
                self._turn.release()
        elif (connection := self._connection) is not None:
            connection.shut_down()

    def _after_fork(self) -> None:
        """Close the child's descriptor, which does not end the parent's connection."""
        self._turn = threading.RLock()
        self._caller = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
        self._drop_left()
        if self._hearing_of is not None:
            self._hearing_of = self._hearing_of.renewed()

    def _new_caller(self) -> int:
        """Who calls: a thread, though not one that a signal has interrupted in a call."""
        caller = threading.get_ident()
        if self._caller == caller:
            raise UsageError("a call is under way on this client", hint="call from signal handlers over another one")
        return caller

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if isinstance(connection, Connection) and connection.left and not connection.over:
            connection, self._left = self._left, connection
        if connection is not None:
            connection.close()

    def _drop_left(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            left.close()

    def let_go(self) -> None:
        """Close the connections that nobody uses now, which may hold workers; a fleet goes on to be watched."""
        self.close()

    def call(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
        partial: Callable[[Any], None] | None = None,
    ) -> Any:
        """Call a method and return its result.

        Args:
            method: The method's name.
            params: What JSON can carry: usually a dict of parameters by name, or a list by position.
            timeout: Seconds for the whole call, None for no limit; the client's own if not given.
            idempotent: Whether the call may be sent again when the connection was lost on the way.
            partial: Is given what comes before the result, where a dialect has several replies to a call.

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
        reply, instance = self._exchange(method, params, timeout, idempotent, False, None, partial)
        if (error := CallError.of_reply(method, reply, time.monotonic() - began, instance)) is not None:
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
        trace: CallTrace | None = None,
        partial: Callable[[Any], None] | None = None,
    ) -> Reply:
        """Call a method and return the whole reply, an error reply too.

        It takes what `call` takes. With `meta` the server is asked who has served it, but no plain one; `trace` is
        told what happens.

        Raises:
            ShellError: As `call`, but for CallError.
        """
        return self._exchange(method, params, timeout, idempotent, meta, trace, partial)[0]

    def _exchange(
        self,
        method: str,
        params: object,
        timeout: float | EllipsisType | None,
        idempotent: bool,
        meta: bool,
        trace: CallTrace | None,
        partial: Callable[[Any], None] | None,
    ) -> tuple[Reply, Target | None]:
        """The whole reply, and which instance of a fleet it is from."""
        limit = self._limit(timeout)
        deadline = None if limit is None else time.monotonic() + limit
        attempts: Attempts | None = None
        turn, caller = self._turn, self._new_caller()
        try:
            # The first is quicker, and enough where no other thread calls.
            if not turn.acquire(False) and not turn.acquire(
                True, -1 if limit is None else min(limit, threading.TIMEOUT_MAX)
            ):
                raise CallTimeout(limit or 0.0, method=method, may_have_run=False)
            self._caller = caller
            while True:
                try:
                    connection = self._ready(deadline, trace)
                    self.requests += 1
                    try:
                        reply = connection.exchange(
                            method, params, meta=meta, plain=self.plain, deadline=deadline, trace=trace, partial=partial
                        )
                        return reply, None
                    finally:
                        # After a timeout or an interrupt the reply may still come: no later call may have it.
                        if not connection.reusable:
                            self._drop()
                except ConnectionFailed as error:
                    if attempts is not None:
                        attempts.not_connected(error)
                    raise
                except TimeoutError as error:
                    raise CallTimeout(limit or 0.0, method=method, hint=str(error) or None) from None
                except Dropped as dropped:
                    attempts = attempts or Attempts(self.target, idempotent)
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

    def events(self, *, timeout: float | None = None) -> Iterator[Event]:
        """The events of the server as they come, those first that came since the connection was made.

        A thread of its own may take them while another one makes calls. Each event is given out once; of those that
        nobody takes, the last 10,000 are kept.

        Args:
            timeout: Seconds without an event after which there are no more, or None to wait until the client is closed.

        Raises:
            UsageError: The server has none to tell.
            ConnectionLost: The connection ended, and was not closed here.
            ConnectionFailed: No connection could be made.

        Example:
            >>> for event in client.events(timeout=5):  # doctest: +SKIP
            ...     print(event.name, event.params)
        """
        hearing = self.hearing()
        if self._connection is None:
            self.connect()
        connection = self._connection
        if connection is None or isinstance(connection, Connection):
            return
        while (event := hearing.next_event(timeout, lambda: connection.finished)) is not None:
            yield event
        connection.check_end()

    def describe(self, *, trace: CallTrace | None = None) -> Description:
        """Ask the server what it offers; of one that only answers, the `trace` is told what happens.

        Raises:
            ShellError: As `exchange`, where that says nothing about what it can tell of itself.
        """
        if (known := self._described()) is not None:
            return known
        if not self.listens:
            dialect = self._dialect(self._max_reply, self._floats)
            return follow(offered(dialect.describe()), lambda step: self._ask(step, trace))
        return self._followed(lambda dialect: offered(dialect.describe()), self.timeout)

    def complete(
        self, method: str, param: str, typed: str, others: Mapping[str, Any], *, timeout: float | None = None
    ) -> list[str]:
        """Ask the server what a parameter may be.

        Args:
            method: The method that is to be called.
            param: The parameter's name.
            typed: What its value begins with.
            others: The other params, as far as they are known.
            timeout: Seconds for the answer, None for no limit.

        Raises:
            ShellError: As `exchange`.
        """
        return self._followed(lambda dialect: dialect.complete(method, param, typed, others), timeout)

    def _followed(self, steps: Callable[[FramedDialect], Steps[_T]], timeout: float | None) -> _T:
        """What the steps of a listening dialect come to."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self._new_caller()
        with self._turn:
            connection = self._ready(deadline, None)
            if isinstance(connection, Connection):
                raise self._deaf()
            try:
                return connection.follow(steps(connection.dialect), deadline)
            except TimeoutError as error:
                raise CallTimeout(timeout or 0.0, hint=str(error) or None) from None
            finally:
                if not connection.reusable:
                    self._drop()

    def _ask(self, step: Step, trace: CallTrace | None) -> Reply:
        if not isinstance(step, Ask):
            raise TypeError("a dialect that does not listen can only ask")
        # Another instance can say it as well; a single server may end the connection because it was asked.
        again = isinstance(self.target, FleetTarget)
        return self.exchange(step.method, step.params, timeout=step.timeout, idempotent=again, trace=trace)

    def _ready(self, deadline: float | None, trace: CallTrace | None) -> Connection | ListeningConnection:
        if self._connection is not None:
            if self._connection.usable():
                return self._connection
            self._drop()
        limit = self._dialling_limit(deadline, time.monotonic())
        if trace is not None:
            trace.connecting()
        self._connection = self._listen(limit) if self.listens else self._open(self.target, limit)
        if trace is not None:
            trace.connection_made()
        self.connections += 1
        return self._connection

    def _open(self, instance: Target, timeout: float) -> Connection:
        return Connection.open(self._requester(instance), timeout=timeout, tls=self.tls)

    def _listen(self, timeout: float) -> ListeningConnection:
        from rpcshell.client.listening import ListeningConnection

        dialect = self._listening_dialect()
        return ListeningConnection.open(self.target, dialect, self.hearing(), timeout=timeout, tls=self.tls)

    def hearing(self) -> Hearing:
        """What hears the server, to which handlers may be given; errors are those of `AnyClient.hearing`."""
        if not self.listens:
            raise self._deaf()
        if self._hearing_of is None:
            from rpcshell.client.hearing import Handlers, Hearing

            self._hearing_of = Hearing(Handlers(methods=self._answers))
        return self._hearing_of
