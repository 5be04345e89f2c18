"""The RPC shell, and its clients as a library: a blocking one and one for asyncio.

Example:
    >>> from rpcshell import connect
    >>> with connect("127.0.0.1:8080") as client:  # doctest: +SKIP
    ...     client.call("ping", {"a": 1})
    {'a': 1}

Importing this loads neither the prompt nor a client: a name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcshell.version import __version__

if TYPE_CHECKING:
    from rpcshell.client.async_client import AsyncClient
    from rpcshell.client.async_opening import connect_async
    from rpcshell.client.client import Client
    from rpcshell.client.detecting import detect
    from rpcshell.client.dialects.envelope import Envelope
    from rpcshell.client.errors import (
        CallError,
        CallTimeout,
        Cancelled,
        ConnectionFailed,
        ConnectionLost,
        NotConnected,
        ProtocolError,
        ShellError,
        SpawnFailed,
        SyntaxProblem,
        TlsFailed,
        Unexpected,
        UsageError,
    )
    from rpcshell.client.fleet.instances import FleetEvent, InstanceState
    from rpcshell.client.opening import connect
    from rpcshell.client.target import (
        ChildTarget,
        DnsTarget,
        HttpTarget,
        ListTarget,
        ServersetTarget,
        SrvTarget,
        Target,
        TcpTarget,
        TlsFiles,
        TlsTarget,
        UnixTarget,
    )


__all__ = [
    "AsyncClient",
    "CallError",
    "CallTimeout",
    "Cancelled",
    "ChildTarget",
    "Client",
    "ConnectionFailed",
    "ConnectionLost",
    "DnsTarget",
    "Envelope",
    "FleetEvent",
    "HttpTarget",
    "InstanceState",
    "ListTarget",
    "NotConnected",
    "ProtocolError",
    "ServersetTarget",
    "ShellError",
    "SpawnFailed",
    "SrvTarget",
    "SyntaxProblem",
    "Target",
    "TcpTarget",
    "TlsFailed",
    "TlsFiles",
    "TlsTarget",
    "Unexpected",
    "UnixTarget",
    "UsageError",
    "__version__",
    "connect",
    "connect_async",
    "detect",
]

_MODULES = {
    "AsyncClient": "async_client",
    "connect_async": "async_opening",
    "Client": "client",
    "connect": "opening",
    "Envelope": "dialects.envelope",
    "detect": "detecting",
    "FleetEvent": "fleet.instances",
    "InstanceState": "fleet.instances",
    "ChildTarget": "target",
    "HttpTarget": "target",
    "Target": "target",
    "DnsTarget": "target",
    "ListTarget": "target",
    "ServersetTarget": "target",
    "SrvTarget": "target",
    "TcpTarget": "target",
    "TlsFiles": "target",
    "TlsTarget": "target",
    "UnixTarget": "target",
}
"""Of the names that are not errors, the modules of the room `client` that have them."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.client.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
