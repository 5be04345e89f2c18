"""The asyncio client: the rules and errors of the blocking one, for programs that run an event loop.

Importing this does not import asyncio; that happens when a client is made.
"""

from __future__ import annotations

import time
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from rpcshell.client.client import CONNECT_TIMEOUT, TIMEOUT, as_target, checked_limit
from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, UsageError
from rpcshell.client.retry import Attempts, Dropped
from rpcwire import MAX_REPLY, EncodeError, FrameTooLarge

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType
    from typing import Self

    from rpcshell.client.async_connection import AsyncConnection
    from rpcshell.client.target import Target
    from rpcshell.client.tls import TlsFiles
    from rpcwire import Reply

__all__ = ["AsyncClient", "connect_async"]


class AsyncClient:
    """A client of one target for one event loop; its calls may be made by many tasks.

    A request is sent again, once its connection was lost, only where it provably did not run or where the caller says
    that it is idempotent. A task that is cancelled while it waits for a reply takes its connection with it: the
    server may still be running the request.

    Args:
        target: Where the server listens.
        timeout: Seconds for a whole call, connecting and waiting for a turn included, or None for no limit.
        connect_timeout: Seconds for making a connection.
        plain: Send nothing but the method and its params: for servers that know no more of the protocol.
        max_reply: The largest reply accepted, in bytes.
        tls: The files that a TLS target is verified with, and those that it is shown.
        parallel: How many calls may be under way at once, each on a connection of its own; others wait their turn.
            With a server whose workers serve a connection each, this should not be more than its workers.
    """

    def __init__(
        self,
        target: Target,
        *,
        timeout: float | None = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        plain: bool = False,
        max_reply: int = MAX_REPLY,
        tls: TlsFiles | None = None,
        parallel: int = 1,
    ) -> None:
        import asyncio

        if parallel < 1:
            raise UsageError(f"at least one call has to be under way at once, not {parallel}")
        self.target = target
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.plain = plain
        self._max_reply = max_reply
        self._tls = tls
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
        async with self._turns:
            self._idle.append(await self._ready(None))

    async def close(self) -> None:
        """Close all connections. Calls that are under way end with ConnectionLost; the next call connects anew."""
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
            UsageError: JSON cannot carry the params.

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
        """Call a method and return the whole reply, an error reply too.

        Args:
            method: The method's name.
            params: What JSON can carry.
            timeout: Seconds for the whole call, None for no limit; the client's own if not given.
            idempotent: Whether the call may be sent again when the connection was lost on the way.
            meta: Whether to ask who served it (not of plain targets).

        Raises:
            ShellError: As `call`, but for CallError.
        """
        import asyncio

        limit = checked_limit(self.timeout if isinstance(timeout, EllipsisType) else timeout)
        deadline = None if limit is None else asyncio.get_running_loop().time() + limit
        sent = False
        attempts = Attempts(self.target, idempotent=idempotent)
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
            try:
                while True:
                    try:
                        connection = await self._ready(deadline)
                        sent = True
                        return await self._attempt(connection, method, params, meta, deadline)
                    except ConnectionFailed as error:
                        attempts.not_connected(error)
                        raise
                    except Dropped as dropped:
                        attempts.lost(dropped)
            finally:
                self._turns.release()
        except TimeoutError:
            raise CallTimeout(limit or 0.0, method=method, may_have_run=sent) from None

    async def _attempt(
        self, connection: AsyncConnection, method: str, params: object, meta: bool, deadline: float | None
    ) -> Reply:
        import asyncio

        reusable = False
        try:
            async with asyncio.timeout_at(deadline):
                reply, reusable = await connection.exchange(
                    method, params, meta=meta and not self.plain, close=not self.plain
                )
        except (EncodeError, FrameTooLarge) as error:
            reusable = True
            raise UsageError(f"the params of {method} cannot be sent: {error}") from None
        finally:
            # After a timeout or a cancellation the reply may still come: no later call may take it for its own.
            if reusable and connection in self._open:
                self._idle.append(connection)
            else:
                self._drop(connection)
        return reply

    async def _ready(self, deadline: float | None) -> AsyncConnection:
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

        from rpcshell.client.async_dialling import dial_async

        timeout = self.connect_timeout
        if deadline is not None:
            timeout = min(timeout, max(deadline - asyncio.get_running_loop().time(), 0.001))
        connection = await dial_async(self.target, timeout, self._max_reply, self._tls)
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
    target: str | tuple[str, int] | Target,
    *,
    timeout: float | None = TIMEOUT,
    connect_timeout: float = CONNECT_TIMEOUT,
    plain: bool = False,
    max_reply: int = MAX_REPLY,
    tls: TlsFiles | None = None,
    parallel: int = 1,
) -> _Connecting:
    """Connect to a server from an event loop; `await` the result, or enter it with `async with`.

    Args:
        target: `host:port`, `port`, `[v6]:port`, `unix:/path`, `tls://host:port`, or a (host, port) pair.
        timeout: Seconds for a whole call, or None for no limit.
        connect_timeout: Seconds for making a connection.
        plain: Send nothing but the method and its params.
        max_reply: The largest reply accepted, in bytes.
        tls: The files that a TLS target is verified with, and those that it is shown.
        parallel: How many calls may be under way at once, each on a connection of its own.

    Raises:
        UsageError: The target's text makes no sense.
        ConnectionFailed: No connection could be made.

    Example:
        >>> async with connect_async("127.0.0.1:8080") as client:  # doctest: +SKIP
        ...     await client.call("ping", {"a": 1})
        {'a': 1}
    """
    return _Connecting(
        AsyncClient(
            as_target(target),
            timeout=timeout,
            connect_timeout=connect_timeout,
            plain=plain,
            max_reply=max_reply,
            tls=tls,
            parallel=parallel,
        )
    )
