"""The asyncio client: the rules and errors of the blocking one, for programs that run an event loop.

Importing this does not import asyncio; that happens when a client is made.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rpcshell.client.client import AnyClient, as_target
from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, UsageError
from rpcshell.client.exchange import Dropped
from rpcshell.client.fleet import Attempts

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator
    from types import EllipsisType, TracebackType
    from typing import Self, Unpack

    from rpcshell.client.async_connection import AsyncConnection
    from rpcshell.client.client import ClientOptions
    from rpcshell.client.target import Target
    from rpcwire import Reply

__all__ = ["AsyncClient", "connect_async"]


class AsyncClient(AnyClient):
    """A client of one target for the event loop that uses it first; its calls may be made by many tasks.

    Once that loop is closed, and in a process that was forked, another may use it, over connections of its own. It
    takes what `Client` takes, and sends again by the same rule. A task that is cancelled while it waits for a reply
    takes its connection with it: the server may still be running the request.

    Args:
        target: Where the server listens.
        parallel: How many calls may be under way at once, each on a connection of its own; others wait their turn,
            which counts to their time. With a server whose workers serve a connection each, this should not be more
            than its workers.
        options: As for `Client`.
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, target: Target, *, parallel: int = 1, **options: Unpack[ClientOptions]) -> None:
        import asyncio

        super().__init__(target, **options)
        if parallel < 1:
            raise UsageError(f"at least one call has to be under way at once, not {parallel}")
        self._parallel = parallel
        self._turns = asyncio.Semaphore(parallel)
        self._idle: list[AsyncConnection] = []
        self._open: set[AsyncConnection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.target}, connections: {len(self._open)}>"

    @property
    def connected(self) -> bool:
        """Whether a connection is held; whether it still works shows only when it is used."""
        return bool(self._open)

    async def connect(self) -> None:
        """Connect now, rather than with the first call.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        self._enter()
        async with self._turns:
            self._idle.append(await self._ready(self._fleet.choose(), None))

    async def close(self) -> None:
        """Close all connections. Calls that are under way end with ConnectionLost; the next call connects anew."""
        self._enter()
        closing = tuple(self._open)
        for connection in closing:
            self._drop(connection)
        for connection in closing:
            await connection.closed()

    async def call(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
    ) -> Any:
        """Call a method and return its result; parameters and errors are those of `Client.call`.

        Example:
            >>> await client.call("add", {"a": 1, "b": 2})  # doctest: +SKIP
            3.0
        """
        began = time.monotonic()
        reply = await self.exchange(method, params, timeout=timeout, idempotent=idempotent)
        if (error := CallError.of_reply(method, reply, time.monotonic() - began)) is not None:
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
    ) -> Reply:
        """Call a method and return the whole reply; parameters and errors are those of `Client.exchange`."""
        import asyncio

        loop = self._enter()
        limit = self._limit(timeout)
        deadline = None if limit is None else loop.time() + limit
        turns = self._turns
        sent = False
        attempts = Attempts(self._fleet, idempotent)
        try:
            if turns.locked():
                async with asyncio.timeout_at(deadline):
                    await turns.acquire()
            else:
                await turns.acquire()
            try:
                while True:
                    try:
                        connection = await self._ready(attempts.instance, deadline)
                        sent = True
                        return await self._attempt(connection, method, params, meta, deadline)
                    except ConnectionFailed as error:
                        attempts.not_connected(error)
                        raise
                    except Dropped as dropped:
                        attempts.lost(dropped)
            finally:
                turns.release()
        except TimeoutError:
            raise CallTimeout(limit or 0.0, method=method, may_have_run=sent) from None

    def _enter(self) -> asyncio.AbstractEventLoop:
        """The running loop, which is the one that this client belongs to, or does from now on.

        Raises:
            UsageError: It belongs to another, maybe of another thread.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        # Of two threads that come at once, one is the first.
        if (owner := self.__dict__.setdefault("_loop", loop)) is not loop:
            if not owner.is_closed():
                raise UsageError("this client belongs to another event loop", hint="make one for each loop")
            self._after_fork()
            self._loop = loop
        return loop

    def _after_fork(self) -> None:
        import asyncio

        for connection in self._open:
            connection.abandon()
        self._open.clear()
        self._idle.clear()
        self._turns = asyncio.Semaphore(self._parallel)
        self.__dict__.pop("_loop", None)

    async def _attempt(
        self, connection: AsyncConnection, method: str, params: object, meta: bool, deadline: float | None
    ) -> Reply:
        try:
            return await connection.exchange(method, params, meta=meta, plain=self.plain, deadline=deadline)
        finally:
            # After a timeout or a cancellation the reply may still come: no later call may take it for its own.
            if connection.reusable and connection in self._open:
                self._idle.append(connection)
            else:
                self._drop(connection)

    async def _ready(self, instance: Target, deadline: float | None) -> AsyncConnection:
        # The one that was used last is the likeliest to be good, and the others may grow idle.
        while self._idle:
            connection = self._idle.pop()
            usable = False
            try:
                usable = await connection.usable()
            finally:
                if not usable:
                    self._drop(connection)
            if usable:
                return connection
        import asyncio

        from rpcshell.client.async_connection import AsyncConnection

        limit = self._dialling_limit(deadline, asyncio.get_running_loop().time())
        connection = await AsyncConnection.open(self._requester(instance), timeout=limit, tls=self.tls)
        self._open.add(connection)
        # A TLS server may have refused this client by now, and its word would be lost with the first write.
        await connection.usable()
        return connection

    def _drop(self, connection: AsyncConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()


class _Connecting:
    """A client that is being connected: `await` it, or enter it with `async with`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> AsyncClient:
        await self._client.connect()
        return self._client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.close()


def connect_async(
    target: str | tuple[str, int] | Target, *, parallel: int = 1, **options: Unpack[ClientOptions]
) -> _Connecting:
    """Connect to a server from an event loop; `await` the result, or enter it with `async with`.

    Parameters and errors are those of `connect`; `parallel` is how many calls may be under way at once, each on a
    connection of its own.

    Example:
        >>> async with connect_async("127.0.0.1:8080") as client:  # doctest: +SKIP
        ...     await client.call("ping", {"a": 1})
        {'a': 1}
    """
    return _Connecting(AsyncClient(as_target(target), parallel=parallel, **options))
