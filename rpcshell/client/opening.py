"""Making a client for a target: that of a single server, or that of a fleet.

Importing this imports neither of them, nor asyncio; that happens when a client is made.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, Unpack

from rpcshell.client.target import FleetTarget, Target, TcpTarget

if TYPE_CHECKING:
    from rpcshell.client.any_client import ClientOptions
    from rpcshell.client.async_client import AsyncClient
    from rpcshell.client.client import Client


def as_target(target: str | tuple[str, int] | Target) -> Target:
    """The target that a text, a (host, port) pair or a target names.

    Raises:
        UsageError: The text makes no sense.
    """
    if isinstance(target, str):
        return Target.parse(target)
    return TcpTarget(*target) if isinstance(target, tuple) else target


def client_of(target: Target, **options: Unpack[ClientOptions]) -> Client:
    """A blocking client, which connects with its first call.

    Raises:
        UsageError: The options make no sense.
    """
    if isinstance(target, FleetTarget):
        from rpcshell.client.fleet_client import FleetClient

        return FleetClient(target, **options)
    from rpcshell.client.client import Client

    return Client(target, **options)


def async_client_of(target: Target, *, parallel: int = 1, **options: Unpack[ClientOptions]) -> AsyncClient:
    """An asyncio client, as `client_of` makes a blocking one."""
    if isinstance(target, FleetTarget):
        from rpcshell.client.async_fleet_client import AsyncFleetClient

        return AsyncFleetClient(target, parallel=parallel, **options)
    from rpcshell.client.async_client import AsyncClient

    return AsyncClient(target, parallel=parallel, **options)


def connect(target: str | tuple[str, int] | Target, **options: Unpack[ClientOptions]) -> Client:
    """Connect to a server.

    Args:
        target: `host:port`, `port`, `[v6]:port`, `unix:/path`, `unix:@name`, `tls://host:port`, or a (host, port)
            pair; before an address, what is spoken there, as in `jsonrpc+line:host:port`. `jsonrpc:exec:COMMAND ARG` is
            a child, `jsonrpc:https://host/path` a server over HTTP. Several servers of one service are a fleet:
            `host:port,host:port`, `zk://host,host/path`, `srv://_service._tcp.name`, `dns://name:port`.
        options: As `Client` takes them: `timeout`, `connect_timeout`, `plain`, `max_reply`, `floats`, `tls`,
            `openrpc`, `answers`, `options`, `dialect`.

    Raises:
        UsageError: The target's text makes no sense, or a package is missing for it.
        ConnectionFailed: No connection could be made.

    Example:
        >>> with connect("127.0.0.1:8080") as client:  # doctest: +SKIP
        ...     client.call("ping", {"a": 1})
        {'a': 1}
    """
    client = client_of(as_target(target), **options)
    with ExitStack() as unless_connected:
        unless_connected.callback(client.close)
        client.connect()
        unless_connected.pop_all()
    return client


class _Connecting:
    """A client that is being connected: `await` it, or enter it with `async with`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> AsyncClient:
        async with AsyncExitStack() as unless_connected:
            unless_connected.push_async_callback(self._client.close)
            await self._client.connect()
            unless_connected.pop_all()
        return self._client

    async def __aexit__(self, *_: object) -> None:
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
    return _Connecting(async_client_of(as_target(target), parallel=parallel, **options))
