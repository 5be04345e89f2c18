"""The method `rpc.discover`: the service's OpenRPC document, made once per worker when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from rpcserver.service.endpoint import Endpoint
from rpcserver.service.service import Method
from rpcwire import ReplyEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import UnsetType

    from rpcserver.service.context import WorkerInfo
    from rpcserver.service.service import Service
    from rpcwire import Id, Meta

DISCOVER: Final = "rpc.discover"
"""The name OpenRPC gives to a service's discovery method."""


def discovery_endpoint(service: Service, endpoints: Sequence[Endpoint], worker: WorkerInfo) -> Endpoint:
    """Make the discovery method of a service.

    The document does not list it: OpenRPC reserves the name, so every client knows it already.
    """
    made: list[dict[str, Any]] = []

    # A type that must be looked into would cost every worker memory, and tell nobody anything.
    def discover() -> Any:
        if not made:
            from rpcserver.service.openrpc import openrpc_document

            made.append(openrpc_document(service, endpoints))
        return made[0]

    endpoint = Endpoint(Method(DISCOVER, discover, DISCOVER, idempotent=True, blocking=False), worker)
    endpoint.replies = _SameReply(DISCOVER)
    return endpoint


class _SameReply(ReplyEncoder):
    """Writes one result that never changes: a service of thousands of methods has a document of megabytes."""

    __slots__ = ("_frame",)

    def __init__(self, out: str) -> None:
        super().__init__(out)
        self._frame: bytes | None = None

    def encode(self, result: object) -> bytes:
        if self._frame is None:
            self._frame = super().encode(result)
        return self._frame

    def encode_with(
        self, result: object, *, id: Id | UnsetType = UNSET, meta: Meta | None = None, close: bool = False
    ) -> bytes:
        if id is UNSET and meta is None and not close:
            return self.encode(result)
        return super().encode_with(result, id=id, meta=meta, close=close)
