"""The asyncio client: the rules and errors of the blocking one, for programs that run an event loop.

Importing this does not import asyncio; that happens when a client is made.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from rpcshell.client.any_client import AnyClient
from rpcshell.client.dialects import Ask, Description, Event, Step, Steps, follow_async
from rpcshell.client.dialects.steps import offered
from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, UsageError
from rpcshell.client.exchange import Dropped
from rpcshell.client.retry import Attempts
from rpcshell.client.target import FleetTarget, Target

if TYPE_CHECKING:
    import asyncio
    from types import EllipsisType

    from rpcshell.client.any_client import ClientOptions
    from rpcshell.client.async_connection import AsyncConnection
    from rpcshell.client.async_listening import AsyncHearing, AsyncListeningConnection
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcwire import Reply

_T = TypeVar("_T")


class AsyncClient(AnyClient):
    """A client of one target for the event loop that uses it first; its calls may be made by many tasks.

    Once that loop is closed, and in a process that was forked, another may use it, over connections of its own. It
    takes what `Client` takes, and sends again by the same rule. A task that is cancelled while it waits for a reply
    takes its connection with it: the server may still be running the request.

    Args:
        target: Where the server listens.
        parallel: How many calls may be under way at once, each on a connection of its own; others wait their turn,
            which counts to their time. With a server whose workers serve a connection each, this should not be more
            than its workers. Calls of a dialect whose server may speak unasked share one connection.
        options: As for `Client`.
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, target: Target, *, parallel: int = 1, **options: Unpack[ClientOptions]) -> None:
        from rpcshell.client.async_connection import LoopLocks

        super().__init__(target, **options)
        if parallel < 1:
            raise UsageError(f"at least one call has to be under way at once, not {parallel}")
        # Calls that share a connection take turns where none may be sent before the one before it is answered.
        self._parallel = parallel if self._pipelined or self.one_call else 1
        self._locks = LoopLocks(self._parallel)
        self._listening: AsyncListeningConnection | None = None
        self._for_one_call: set[AsyncListeningConnection] = set()
        self._hearing_of: AsyncHearing | None = None
        self._idle: list[AsyncConnection] = []
        self._open: set[AsyncConnection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.target}, connections: {len(self._open)}>"

    @property
    def connected(self) -> bool:
        """Whether a connection is held; whether it still works shows only when it is used."""
        return bool(self._open or self._for_one_call) or self._listening is not None

    async def connect(self) -> None:
        """Connect now, rather than with the first call.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        self._enter()
        if self.listens:
            await self._listen(None, for_call=False)
            return
        async with self._locks.semaphore:
            self._idle.append(await self._ready(None))

    async def close(self) -> None:
        """Close all connections. Calls that are under way end with ConnectionLost; the next call connects anew."""
        self._enter()
        closing = tuple(self._open)
        for connection in closing:
            self._drop(connection)
        for connection in closing:
            await connection.closed()
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.close()
        for taken in tuple(self._for_one_call):
            await self._give_up(taken)

    async def call(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
        partial: Callable[[Any], None] | None = None,
    ) -> Any:
        """Call a method and return its result; parameters and errors are those of `Client.call`.

        Example:
            >>> await client.call("add", {"a": 1, "b": 2})  # doctest: +SKIP
            3.0
        """
        began = time.monotonic()
        reply, instance = await self._exchange(method, params, timeout, idempotent, False, partial)
        if (error := CallError.of_reply(method, reply, time.monotonic() - began, instance)) is not None:
            raise error
        return reply.result

    async def exchange(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
        meta: bool = False,
        partial: Callable[[Any], None] | None = None,
    ) -> Reply:
        """Call a method and return the whole reply; parameters and errors are those of `Client.exchange`."""
        return (await self._exchange(method, params, timeout, idempotent, meta, partial))[0]

    async def _exchange(
        self,
        method: str,
        params: object,
        timeout: float | EllipsisType | None,
        idempotent: bool,
        meta: bool,
        partial: Callable[[Any], None] | None,
    ) -> tuple[Reply, Target | None]:
        """The whole reply, and which instance of a fleet it is from."""
        loop = self._enter()
        limit = self._limit(timeout)
        deadline = None if limit is None else loop.time() + limit
        semaphore = self._locks.semaphore
        sent = False
        attempts: Attempts | None = None
        try:
            if semaphore.locked():
                await self._locks.take_turn(deadline)
            else:
                await semaphore.acquire()
            try:
                while True:
                    try:
                        if self.listens:
                            listening = await self._listen(deadline)
                            sent = True
                            try:
                                reply = await listening.exchange(
                                    method, params, meta=meta, plain=self.plain, deadline=deadline, partial=partial
                                )
                                return reply, None
                            finally:
                                if self.one_call:
                                    await self._give_up(listening)
                        connection = await self._ready(deadline)
                        sent = True
                        try:
                            reply = await connection.exchange(
                                method, params, meta=meta, plain=self.plain, deadline=deadline
                            )
                            return reply, None
                        finally:
                            # After a timeout or a cancellation the reply may still come: no later call may have it.
                            if connection.reusable and connection in self._open:
                                self._idle.append(connection)
                            else:
                                self._drop(connection)
                    except ConnectionFailed as error:
                        if attempts is not None:
                            attempts.not_connected(error)
                        raise
                    except Dropped as dropped:
                        attempts = attempts or Attempts(self.target, idempotent)
                        attempts.lost(dropped)
            finally:
                semaphore.release()
        except TimeoutError as error:
            raise CallTimeout(limit or 0.0, method=method, may_have_run=sent, hint=str(error) or None) from None

    def _enter(self) -> asyncio.AbstractEventLoop:
        """The running loop, which is this client's, or becomes that; raises `UsageError` where it has another."""
        import asyncio

        loop = asyncio.get_running_loop()
        # `setdefault` is atomic: of two threads that come at once, one is the first.
        if (owner := self.__dict__.setdefault("_loop", loop)) is not loop:
            if not owner.is_closed():
                raise UsageError("this client belongs to another event loop", hint="make one for each loop")
            self._after_fork()
            self._loop = loop
        return loop

    def _after_fork(self) -> None:
        for connection in self._open:
            connection.abandon()
        self._open.clear()
        self._idle.clear()
        self._locks = self._locks.anew()
        listening, self._listening = self._listening, None
        for taken in (*self._for_one_call, *([] if listening is None else [listening])):
            taken.abandon()
        self._for_one_call.clear()
        if self._hearing_of is not None:
            self._hearing_of = self._hearing_of.renewed()
        self.__dict__.pop("_loop", None)

    async def events(self, *, timeout: float | None = None) -> AsyncIterator[Event]:
        """The events of the server as they come; parameters and errors are those of `Client.events`.

        Example:
            >>> async for event in client.events(timeout=5):  # doctest: +SKIP
            ...     print(event.name, event.params)
        """
        self._enter()
        hearing = self.hearing()
        connection = self._listening or await self._listen(None, for_call=False)
        while (event := await hearing.next_event(timeout, lambda: not connection.reusable)) is not None:
            yield event
        connection.check_end()

    async def describe(self) -> Description:
        """Ask the server what it offers; errors are those of `Client.describe`."""
        self._enter()
        if (known := self._described()) is not None:
            return known
        if self.listens:
            return await self._followed(lambda dialect: offered(dialect.describe()), self.timeout)
        return await follow_async(offered(self._dialect(self._max_reply, self._floats).describe()), self._ask)

    async def complete(
        self, method: str, param: str, typed: str, others: Mapping[str, Any], *, timeout: float | None = None
    ) -> list[str]:
        """Ask the server what a parameter may be; parameters and errors are those of `Client.complete`."""
        return await self._followed(lambda dialect: dialect.complete(method, param, typed, others), timeout)

    async def _followed(self, steps: Callable[[FramedDialect], Steps[_T]], timeout: float | None) -> _T:
        """What the steps of a listening dialect come to."""
        now = self._enter().time()
        if not self.listens:
            raise self._deaf()
        deadline = None if timeout is None else now + timeout
        try:
            connection = await self._listen(deadline)
            try:
                return await connection.follow(steps(connection.dialect), deadline)
            finally:
                if self.one_call:
                    await self._give_up(connection)
        except TimeoutError as error:
            raise CallTimeout(timeout or 0.0, hint=str(error) or None) from None

    async def _ask(self, step: Step) -> Reply:
        if not isinstance(step, Ask):
            raise TypeError("a dialect that does not listen can only ask")
        # Another instance can say it as well; a single server may end the connection because it was asked.
        again = isinstance(self.target, FleetTarget)
        return await self.exchange(step.method, step.params, timeout=step.timeout, idempotent=again)

    async def _listen(self, deadline: float | None, *, for_call: bool = True) -> AsyncListeningConnection:
        """The connection that all calls share, made anew where it is no good any more.

        Where it is good for one call only, a call takes it, and gives it up in the end.
        """
        async with self._locks.connecting:
            if self._listening is not None and not self._listening.usable():
                former, self._listening = self._listening, None
                await former.close()
            if self._listening is None:
                from rpcshell.client.async_listening import AsyncListeningConnection

                limit, dialect = self._dialling_limit(deadline, self._loop.time()), self._listening_dialect()
                self._listening = await AsyncListeningConnection.open(
                    self.target, dialect, self.hearing(), timeout=limit, tls=self.tls
                )
            connection = self._listening
            if for_call and self.one_call:
                self._listening = None
                self._for_one_call.add(connection)
            return connection

    async def _give_up(self, connection: AsyncListeningConnection) -> None:
        self._for_one_call.discard(connection)
        await connection.close(greet=False)

    def hearing(self) -> AsyncHearing:
        """What hears the server, to which handlers may be given; errors are those of `AnyClient.hearing`."""
        if not self.listens:
            raise self._deaf()
        if self._hearing_of is None:
            from rpcshell.client.async_listening import AsyncHearing

            self._hearing_of = AsyncHearing.answering(self._answers)
        return self._hearing_of

    async def _ready(self, deadline: float | None) -> AsyncConnection:
        # The one that was used last is the likeliest to be good, and the others may grow idle.
        while self._idle:
            connection = self._idle.pop()
            if await self._is_usable(connection):
                return connection
        return await self._dial(self.target, self._dialling_limit(deadline, self._loop.time()))

    async def _is_usable(self, connection: AsyncConnection) -> bool:
        """Whether a connection that was idle can take a call; one that cannot, or is not known to, is dropped."""
        usable = False
        try:
            usable = await connection.usable()
        finally:
            if not usable:
                self._drop(connection)
        return usable

    async def _dial(self, instance: Target, timeout: float) -> AsyncConnection:
        from rpcshell.client.async_connection import AsyncConnection

        connection = await AsyncConnection.open(self._requester(instance), timeout=timeout, tls=self.tls)
        self._open.add(connection)
        # A TLS server may have refused this client by now, and its word would be lost with the first write.
        await connection.usable()
        return connection

    def _drop(self, connection: AsyncConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()
