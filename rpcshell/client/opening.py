"""Making a blocking client for a target: that of a single server, or that of a fleet."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Unpack

from rpcshell.client.client import Client
from rpcshell.client.target import FleetTarget, Target, as_target

if TYPE_CHECKING:
    from rpcshell.client.any_client import ClientOptions


def client_of(target: Target, **options: Unpack[ClientOptions]) -> Client:
    """A blocking client, which connects with its first call.

    Raises:
        UsageError: The options make no sense.
    """
    if isinstance(target, FleetTarget):
        from rpcshell.client.fleet_client import FleetClient

        return FleetClient(target, **options)
    return Client(target, **options)


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
