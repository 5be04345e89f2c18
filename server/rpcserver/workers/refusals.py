"""What a worker itself says to clients, whatever its model: that a stream is out of step, a request too late or one
too many.

What is wrong with a request that was read and understood is said by `rpcserver.service.faults`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from rpcserver.service.envelopes import refuse_body, stand_in
from rpcwire import ErrorCode, Fault, FrameError, FrameTooLarge

if TYPE_CHECKING:
    from rpcserver.service.context import Peer

_TLS: Final = 0x0316  # how a prefix ends that is the start of a TLS handshake: type and major version (RFC 8446, 5.1)

_PROXY: Final = frozenset(int.from_bytes(start, "little") for start in (b"PROX", b"\r\n\r\n"))
"""Prefixes that are the start of a PROXY header."""


class SlowFrame(FrameError):
    """A request took too long to arrive."""

    code = ErrorCode.TIMED_OUT

    def __init__(self, limit: float) -> None:
        super().__init__(f"the request took longer than {limit:g} s to arrive; send it faster or raise the limit")


class CrowdedOut(FrameError):
    """There is no room for a request, and it cannot be told where the next one begins."""

    code = ErrorCode.BUSY

    def __init__(self) -> None:
        super().__init__("as much of large requests is held already as may be: try again")


def describe(error: FrameError) -> str:
    """Say for the log what is wrong with a stream, also where it is of another kind."""
    if isinstance(error, FrameTooLarge) and error.length & 0xFFFF == _TLS:
        return f"{error}; it looks like TLS, which is spoken here only with --tls-cert"
    if isinstance(error, FrameTooLarge) and error.length in _PROXY:
        return f"{error}; it looks like a PROXY header, which is read only with --proxy-protocol"
    return str(error)


def refuse_stream(error: FrameError, peer: Peer) -> bytes:
    """Reply to a stream in which no further request can be found, as a frame that says `close`."""
    data = {"limit": error.limit} if isinstance(error, FrameTooLarge) else UNSET
    return _closing(Fault(error.code, str(error), data), peer)


def refuse_connection(limit: int, peer: Peer) -> bytes:
    """Reply to a client that is one too many, as a frame that says `close`; it may try again."""
    text = f"all {limit} processes of this worker are taken: try again"
    return _closing(Fault(ErrorCode.BUSY, text, {"retry": True}), peer)


def refuse_service(peer: Peer) -> bytes:
    """Reply to a client that cannot be served because the service does not start, as a frame that says `close`."""
    return _closing(Fault(ErrorCode.INTERNAL_ERROR, "the service does not start: see the server's log"), peer)


def refuse_request(body: bytes | bytearray, limit: int, *, close: bool) -> bytes:
    """Reply to a request that finds the queue of `limit` full; it was not executed, and may be sent again."""
    fault = Fault(ErrorCode.BUSY, f"{limit} requests wait already: try again", {"retry": True})
    return refuse_body(body, fault, close=close)


def refuse_frame(peer: Peer, *, close: bool) -> bytes:
    """Reply to a request that was thrown away as it came; it was not executed, and may be sent again."""
    fault = Fault(ErrorCode.BUSY, str(CrowdedOut()), {"retry": True})
    return stand_in(peer).frame_fault(fault, close=close)


def give_up(body: bytes | bytearray, limit: float) -> bytes:
    """Reply to a request whose handler has not ended within `limit` seconds, as a frame that says `close`."""
    fault = Fault(ErrorCode.TIMED_OUT, f"the call took longer than {limit:g} s; it may still be running")
    return refuse_body(body, fault, close=True)


def _closing(fault: Fault, peer: Peer) -> bytes:
    return stand_in(peer).frame_fault(fault, close=True)
