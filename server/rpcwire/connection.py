"""The client's side of a connection, sans-IO: which requests are out, and what came back for them.

Sockets, time and retries are the caller's business. A server needs no such object: it reads frames with
`rpcwire.FrameDecoder` and answers each.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from rpcwire.errors import ConnectionClosing, UnexpectedReply
from rpcwire.framing import MAX_REPLY, FrameDecoder, frame
from rpcwire.messages import Goodbye, Id, Reply, decode_reply, encode_request

if TYPE_CHECKING:
    from rpcwire.numbers import Floats


class ClientConnection:
    """Pairs replies with requests, in the order in which they were sent.

    One call and a load of them go alike: call `request` for each call that may be under way, send the bytes together,
    give each read to `receive`, and take what `next_event` has until there is none.

    Args:
        max_frame: the largest reply body accepted, in bytes.
        floats: what numbers with a fraction or an exponent become in replies, and `Decimal` in params.
    """

    __slots__ = ("_decoder", "_due", "_floats", "closing")

    def __init__(self, max_frame: int = MAX_REPLY, floats: Floats = "float") -> None:
        self._decoder = FrameDecoder(max_frame)
        self._floats: Floats = floats
        self._due: deque[Id | UnsetType] = deque()
        self.closing = False
        """Whether the server has announced that it reads no further request here."""

    @property
    def outstanding(self) -> int:
        """Requests without a reply; once `closing` is true they were not executed and may be sent again."""
        return len(self._due)

    @property
    def mid_frame(self) -> bool:
        """Whether a reply has begun to arrive and is not whole yet."""
        return self._decoder.mid_frame

    def beginning(self, count: int) -> bytes:
        """The first bytes, up to `count`, of what has come and was not taken."""
        return self._decoder.beginning(count)

    @property
    def idle(self) -> bool:
        """Whether all requests are answered, nothing is left over, and the server reads further ones."""
        return not (self._due or self.closing or self._decoder.mid_frame)

    def request(
        self,
        method: str,
        params: object = None,
        *,
        id: Id | UnsetType = UNSET,
        meta: bool = False,
        close: bool = False,
    ) -> bytes:
        """Return the bytes of a request, to be sent whole, and count it as outstanding.

        Its parts are those of `rpcwire.encode_request`; with `close` it tells the server that this side heeds it.

        Raises:
            ConnectionClosing: the server has said that it reads no more.
            EncodeError: JSON cannot carry the params.
        """
        if self.closing:
            raise ConnectionClosing
        data = frame(encode_request(method, params, id=id, meta=meta, close=close, floats=self._floats))
        self._due.append(id)
        return data

    def receive(self, data: bytes) -> None:
        """Add what a read brought."""
        self._decoder.feed(data)

    def next_event(self) -> Reply | Goodbye | None:
        """Take the next reply or goodbye, or None when more bytes are needed or nothing more can come.

        Raises:
            FrameError: the stream is out of step, or the reply answers another request than is due.
            ParseError: a frame is not JSON; its request is no longer outstanding.
            InvalidReply: a frame is no reply; its request is no longer outstanding.
        """
        if self.closing or (body := self._decoder.next_frame()) is None:
            return None
        due = self._due.popleft() if self._due else None
        event = decode_reply(body, self._floats)
        if isinstance(event, Goodbye):
            if due is not None:
                self._due.appendleft(due)
            self.closing = True
            return event
        if due is None:
            raise UnexpectedReply("a reply came that no request asked for")
        if event.id is not UNSET and event.id != due:
            raise UnexpectedReply("a reply came that belongs to another request")
        self.closing = event.close
        return event

    def receive_eof(self) -> None:
        """Say that the stream has ended; call it when `next_event` has nothing left.

        Raises:
            TruncatedFrame: the end came inside a reply.
        """
        if not self.closing:
            self._decoder.feed_eof()
