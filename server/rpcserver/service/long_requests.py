"""Long requests, read in one go: the envelope together with the params, into the types of the method's handler.

Of a short one the envelope is read first and tells the method, whose types then read the params. That goes through
the params twice, which of long ones takes a tenth of the time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import UNSET

from rpcserver.service.large import uncollected
from rpcwire import Request, read_request

if TYPE_CHECKING:
    from rpcserver.service.endpoint import Endpoint, ServedEndpoints

LONG: Final = 2048  # bytes of a request; shorter ones are read faster in two steps

_method_of: Final = re.compile(rb'\{"in": ?"([^"\\]{1,200})", ?"params":').match
"""Finds the method in what nearly every client writes."""


class LongRequests:
    """Reads long requests for the methods of a service: the envelope together with the params, into their types."""

    __slots__ = ("_decoders", "_endpoints")

    def __init__(self, endpoints: ServedEndpoints) -> None:
        self._endpoints = endpoints
        self._decoders: dict[Endpoint, msgspec.json.Decoder[Request]] = {}

    def endpoint_of(self, body: bytes | bytearray) -> Endpoint | None:
        """Find out which method is called, without reading the request; None where that is not plain to see."""
        found = _method_of(body)
        if found is None:
            return None
        name = found[1].decode("utf-8", "replace")
        return self._endpoints.get(name) or self._endpoints.find(name)

    def read(self, body: bytes | bytearray) -> Request:
        """Read a request, and its params too where nothing but a result is asked for; then it is `typed`.

        What is no request raises what `read_request` does, and of its params nothing is said.
        """
        endpoint = self.endpoint_of(body)
        if endpoint is not None and endpoint.direct:
            decoder = self._decoders.get(endpoint) or self._prepare(endpoint)
            try:
                request = uncollected(decoder.decode, body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                # In another form than most callers send, or wrong: that is found out as with short ones.
                return read_request(body)
            if request.method == endpoint.method.name and request.id is UNSET and not request.meta:
                return request
        return read_request(body)

    def _prepare(self, endpoint: Endpoint) -> msgspec.json.Decoder[Request]:
        fields = [("params", endpoint.decoder.type)]
        typed = msgspec.defstruct("TypedRequest", fields, bases=(Request,), frozen=True, namespace={"typed": True})
        self._decoders[endpoint] = decoder = msgspec.json.Decoder(cast("type[Request]", typed))
        return decoder
