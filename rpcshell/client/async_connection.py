"""One connection on an event loop, with at most one request on it.

When to reconnect or to send again is decided in `async_client`; what the bytes mean is rpcwire's.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Final, cast

from rpcshell.client.dialling import NAP, acknowledge, seconds_asleep
from rpcshell.client.other_protocols import SHOWN, not_a_reply, silence, stranger
from rpcshell.client.retry import Dropped
from rpcshell.client.target import Target, TcpTarget, TlsTarget
from rpcshell.client.unreachable import system_reason
from rpcwire import ClientConnection, Goodbye, RemoteError, Reply, TruncatedFrame

if TYPE_CHECKING:
    import socket

    from rpcshell.client.errors import ProtocolError

__all__ = ["AsyncConnection"]

_TURNS: Final = 2
"""Turns of the event loop in which it notices what has arrived: one to see it, one to hand it over."""

_CLOSED: Final = "it was closed here"


class AsyncConnection(asyncio.Protocol):
    """A protocol for `loop.create_connection`.

    Args:
        target: Where it leads, for messages.
        max_reply: The largest reply accepted, in bytes.
    """

    def __init__(self, target: Target, max_reply: int) -> None:
        self._target = target
        self._wire = ClientConnection(max_reply)
        self._first = b""
        self._silent = True
        self._asleep = seconds_asleep()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._unsent = False
        self._end: Exception | None = None
        self._gone = asyncio.get_running_loop().create_future()

    async def usable(self) -> bool:
        """Whether an idle connection can take a request: no end, no goodbye and nothing unasked has arrived."""
        if self._end is None and self._readable():
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        return self._whole() and seconds_asleep() - self._asleep <= NAP

    async def exchange(self, method: str, params: object, *, meta: bool, close: bool) -> tuple[Reply, bool]:
        """Send a request and wait for its reply.

        Args:
            method: The method's name.
            params: Its params.
            meta: Whether to ask who served it.
            close: Whether to tell the server that this side heeds `close`.

        Returns:
            The reply, and whether the connection can take another request.

        Raises:
            EncodeError: JSON cannot carry the params; nothing was sent.
            FrameTooLarge: The params are over 4 GiB; nothing was sent.
            Dropped: The connection ended first.
            ProtocolError: Something came that is no reply.
            TlsFailed: The server has refused this client; nothing was run.
        """
        request = self._wire.request(method, params, meta=meta, close=close)
        self._first = b""
        if isinstance(self._end, Dropped):
            raise Dropped(self._end.reason, not_run=True, hint=self._end.hint)
        if self._end is not None or self._transport is None:
            raise self._end or Dropped(_CLOSED, not_run=True)
        self._reply = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(request)
            # Where the system refuses it at once, only the transport knows so far.
            self._unsent = self._unsent or self._transport.is_closing()
            reply = await self._reply
        finally:
            self._reply = None
        return reply, self._whole()

    def close(self) -> None:
        """Close it at once; what still arrives is lost."""
        self._finish(Dropped(_CLOSED, not_run=self._unsent))

    async def closed(self) -> None:
        """Wait until the loop has let go of the socket."""
        await asyncio.shield(self._gone)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)
        # The transport then tells of every byte that the system has not taken; one of TLS counts from 1.
        self._transport.set_write_buffer_limits(high=int(isinstance(self._target, TlsTarget)))

    def pause_writing(self) -> None:
        """Remember that a part of the request is not sent; asyncio calls this."""
        self._unsent = True

    def resume_writing(self) -> None:
        """Remember that the request is sent; asyncio calls this."""
        self._unsent = False

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; asyncio calls this."""
        self._silent = False
        if len(self._first) < SHOWN:
            self._first += data[:SHOWN]
        self._wire.receive(data)
        try:
            while (event := self._wire.next_event()) is not None:
                self._take(event)
        except RemoteError as error:
            self._finish(not_a_reply(self._target, error, self._first))
            return
        if self._wire.mid_frame and isinstance(self._target, TcpTarget) and (sock := self._socket()) is not None:
            acknowledge(sock)

    def eof_received(self) -> None:
        """Take the end of the stream; asyncio calls this."""
        self._finish(self._at_end())

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the connection; asyncio calls this."""
        from ssl import SSLError

        from rpcshell.client.tls import broken

        if isinstance(error, SSLError) and isinstance(self._target, TlsTarget):
            error = broken(self._target, error)
        if isinstance(error, OSError):
            self._finish(self._dropped(system_reason(error)))
        else:
            self._finish(error or self._at_end())
        if not self._gone.done():
            self._gone.set_result(None)

    def _take(self, event: Reply | Goodbye) -> None:
        if isinstance(event, Reply) and self._reply is not None and not self._reply.done():
            self._reply.set_result(event)
        # A server that refuses a large request says so while it is being sent, and will not take the rest.
        if isinstance(event, Goodbye) or event.close or self._unsent:
            self._finish(Dropped("the server is closing it", not_run=True))

    def _whole(self) -> bool:
        """Whether nothing is left over from the request before."""
        return self._end is None and not self._wire.mid_frame

    def _at_end(self) -> Dropped | ProtocolError:
        try:
            self._wire.receive_eof()
        except TruncatedFrame as error:
            return stranger(self._target, self._first) or self._dropped(f"inside the reply, {error}")
        return self._dropped("the server closed it without a reply")

    def _dropped(self, reason: str) -> Dropped:
        return Dropped(reason, not_run=self._unsent, hint=silence(self._target) if self._silent else None)

    def _finish(self, end: Exception) -> None:
        """Let no further request in, and tell the one that waits how it ended."""
        if self._end is None:
            self._end = end
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(end)
        if self._transport is not None:
            self._transport.abort()

    def _readable(self) -> bool:
        sock = self._socket()
        if sock is None or sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _socket(self) -> socket.socket | None:
        # It is one for all that is done with it here, until the transport has let go of it.
        return cast("socket.socket | None", self._transport and self._transport.get_extra_info("socket"))
