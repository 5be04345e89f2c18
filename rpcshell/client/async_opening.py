"""Making an asyncio client for a target: that of a single server, or that of a fleet.

Importing this does not import asyncio; that happens when a client is made.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Unpack

from rpcshell.client.async_client import AsyncClient
from rpcshell.client.target import FleetTarget, Target, as_target

if TYPE_CHECKING:
    from rpcshell.client.any_client import ClientOptions


def async_client_of(target: Target, *, parallel: int = 1, **options: Unpack[ClientOptions]) -> AsyncClient:
    """An asyncio client, as `client_of` makes a blocking one."""
    if isinstance(target, FleetTarget):
        from rpcshell.client.async_fleet_client import AsyncFleetClient

        return AsyncFleetClient(target, parallel=parallel, **options)
    return AsyncClient(target, parallel=parallel, **options)


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
