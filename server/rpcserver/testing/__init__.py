"""A testing kit for services: real workers for a test, and a client to call them with.

In a test, with the fixture that pytest finds by itself once this package is installed::

    def test_add(rpc_server):
        assert rpc_server(service).call("add", {"a": 1, "b": 2}) == 3

and without pytest::

    with serve(service, model="thread", workers=4) as server:
        assert server.call("add", [1, 2]) == 3
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpcserver.testing.client import Client
    from rpcserver.testing.server import RunningServer, ServerFailed, serve

__all__ = ["Client", "RunningServer", "ServerFailed", "serve"]


def __getattr__(name: str) -> object:
    # The demo and the plugin for pytest stand in this package, and cost only what they need themselves.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{'client' if name == 'Client' else 'server'}"), name)
    globals()[name] = value
    return value
