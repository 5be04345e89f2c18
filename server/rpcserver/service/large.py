"""What is large goes ways of its own: long requests are read in one go, and what would hold up a loop by `on_loop`.

Of a short request the envelope is read first and tells the method, whose types then read the params. That goes through
the params twice, which of long ones takes a tenth of the time. On an event loop more is at stake: msgspec keeps the
interpreter's lock while it reads or writes, so the loop runs between such steps, and not beside them. Collecting
garbage would make these steps three times as long: it goes through all that was read, again and again.
"""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar, cast

import msgspec
from msgspec import UNSET

from rpcwire import Request, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcserver.service.endpoint import Endpoint

P = ParamSpec("P")
T = TypeVar("T")

LONG: Final = 2048  # bytes of a request; shorter ones are read faster in two steps
LARGE: Final = 256 * 1024  # bytes of JSON, which take about a millisecond
HOLDERS: Final = frozenset({list, tuple, dict})
MANY: Final = 16 * 1024  # items in one of `HOLDERS`, which may well be large then

_method_of: Final = re.compile(rb'\{"in": ?"([^"\\]{1,200})", ?"params":').match
"""Finds the method in what nearly every client writes."""


class LongRequests:
    """Reads long requests for the methods of a service: the envelope together with the params, into their types."""

    __slots__ = ("_decoders", "_endpoints")

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints
        self._decoders: dict[Endpoint, msgspec.json.Decoder[Request]] = {}

    def endpoint_of(self, body: bytes | bytearray) -> Endpoint | None:
        """Find out which method is called, without reading the request; None where that is not plain to see."""
        found = _method_of(body)
        return None if found is None else self._endpoints.get(found[1].decode("utf-8", "replace"))

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


def uncollected(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, and collect garbage only after it, if the app has that done at all."""
    if not gc.isenabled():
        return function(*args, **kwargs)
    gc.disable()
    try:
        return function(*args, **kwargs)
    finally:
        gc.enable()
