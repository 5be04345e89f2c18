"""The dialect of rpcserver, and of whoever knows no more of it than `{"in", "params"}` after a length.

Replies come in the order of the calls. Discovery is one probe, `rpc.discover`: who does not know it may answer
with an error, say nothing, or end the connection.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from rpcshell.client.dialects.steps import PROBE_TIMEOUT, Ask, Description, Steps
from rpcshell.client.errors import ConnectionLost
from rpcwire import ClientConnection, ErrorCode

_TEMPORARY: Final = (ErrorCode.BUSY, ErrorCode.TIMED_OUT)


class Native(ClientConnection):
    """A dialect that does not listen: rpcwire's side of a client, and discovery."""

    __slots__ = ()

    listens: ClassVar[Literal[False]] = False

    def describe(self) -> Steps[Description]:
        """Ask for the OpenRPC document."""
        try:
            reply = yield Ask("rpc.discover", timeout=PROBE_TIMEOUT)
        except ConnectionLost as error:
            return Description.ended(error)
        if (fault := reply.fault) is None:
            return Description(reply.result)
        if fault.code in _TEMPORARY:
            return Description(missing="busy")
        return Description(missing="unknown", reason="it does not know rpc.discover")

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool) -> bytes:
        """A frame; a server that is not plain is also told that this side heeds `close`."""
        return self.request(method, params, meta=meta and not plain, close=not plain)
