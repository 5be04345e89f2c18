"""The method by which a service describes itself, `rpc.discover`, whose answer is made once and sent as it is.

What the document says is the business of `openrpc`.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Raw, UnsetType

from rpcserver.service.endpoint import Endpoint
from rpcserver.service.service import Method
from rpcserver.system.errors import QuickStop
from rpcwire import Id, Meta, ReplyEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.service.service import Service

DISCOVER: Final = "rpc.discover"  # the name OpenRPC gives to a service's discovery method


def endpoints_of(service: Service) -> dict[str, Endpoint]:
    """Make all methods of a service ready to be called, and the one for discovery, which the document does not list.

    OpenRPC reserves the name, so every client knows it already.

    Raises:
        ServiceError: a handler cannot be served as it is written.
    """
    endpoints = {name: Endpoint(method) for name, method in service.methods().items()}
    return {**endpoints, DISCOVER: _discovery_endpoint(service, tuple(endpoints.values()))}


def _discovery_endpoint(service: Service, endpoints: Sequence[Endpoint]) -> Endpoint:
    made: list[dict[str, Any]] = []

    # A type that must be looked into would cost every worker memory, and tell nobody anything.
    def discover() -> Any:
        if not made:
            from rpcserver.service.openrpc import openrpc_document

            made.append(openrpc_document(service, endpoints))
        return made[0]

    method = Method(DISCOVER, discover, DISCOVER, idempotent=True, blocking=False)
    return Endpoint(method, _SameReply(DISCOVER))


class _SameReply(ReplyEncoder):
    """Writes one result that never changes: a service of thousands of methods has a document of megabytes."""

    __slots__ = ("_frame",)

    def __init__(self, out: str) -> None:
        super().__init__(out)
        self._frame: bytes | None = None

    def encode(self, result: object) -> bytes:
        """Write the reply, once."""
        if self._frame is None:
            self._frame = super().encode(result)
        return self._frame

    def encode_with(
        self, result: object, *, id: Id | UnsetType = UNSET, meta: Meta | None = None, close: bool = False
    ) -> bytes:
        """Write the reply with the keys that a request asks for."""
        if id is UNSET and meta is None and not close:
            return self.encode(result)
        return super().encode_with(result, id=id, meta=meta, close=close)


def checksum_of(discovery: Endpoint) -> str:
    """A short text that differs where two documents do; nothing where there is none, as of types without a schema."""
    try:
        reply = discovery.encode(discovery.call(discovery.decode(Raw(b"null"))))
    except QuickStop:
        raise
    except Exception:  # noqa: BLE001 - the types are the user's; whoever asks for the document is told
        return ""
    return f"{zlib.crc32(reply):08x}"
