"""A testing kit for services: real workers for a test, and a client to call them with.

In a test, with the fixture that pytest finds by itself once this package is installed::

    def test_add(rpc_server):
        assert rpc_server(service).call("add", {"a": 1, "b": 2}) == 3

and without pytest::

    with serve(service, model="thread", workers=4) as server:
        assert server.call("add", [1, 2]) == 3
"""

from .client import Client
from .server import RunningServer, ServerFailed, serve

__all__ = ["Client", "RunningServer", "ServerFailed", "serve"]
