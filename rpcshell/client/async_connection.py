"""A connection on an event loop under a `Requester`, and how it is made without blocking the loop.

Errors and options of dialling are those of `rpcshell.client.dialling`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from rpcshell.client.diagnosis import lookup_failed, tcp_failed, unix_failed
from rpcshell.client.dialling import (
    ATTEMPT_DELAY,
    NAP,
    PARTING,
    QUIET,
    acknowledge,
    dial_tcp,
    encoded_host,
    seconds_asleep,
    settle,
    streams,
)
from rpcshell.client.errors import ProtocolError
from rpcshell.client.exchange import CLOSED_HERE, Dropped, Requester
from rpcshell.client.target import TcpTarget, TlsFiles, TlsTarget, UnixTarget
from rpcshell.client.tls import broken, client_context, handshake_failed, server_name

if TYPE_CHECKING:
    from rpcshell.client.dialling import Address
    from rpcwire import Reply

_TURNS: Final = 2
"""Turns of the event loop in which it notices what has arrived: one to see it, one to hand it over."""

_ROOM: Final = 0.02
"""Seconds between looks for room in the queue of a Unix socket, of which the system does not tell."""


class AsyncConnection(asyncio.Protocol):
    """What `loop.create_connection` makes, with at most one request on it."""

    def __init__(self, requester: Requester, sock: socket.socket) -> None:
        self._requester = requester
        self._socket = sock
        self._asleep = seconds_asleep()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._paused = self._parts = False
        self._quiet: asyncio.TimerHandle | None = None
        self._end: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._gone = self._loop.create_future()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    @classmethod
    async def open(cls, requester: Requester, *, timeout: float, tls: TlsFiles | None = None) -> AsyncConnection:
        """Connect to where a requester wants to go, within `timeout` seconds for all of its addresses.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        match target := requester.target:
            case UnixTarget():
                return await _adopt(await _dial_unix(target, deadline, timeout), requester)
            case TcpTarget():
                return await _adopt(await _dial_tcp(target, deadline, timeout), requester)
            case TlsTarget():
                context = client_context(tls or TlsFiles(), target)
                sock = await _dial_tcp(target, deadline, timeout)
                try:
                    async with asyncio.timeout_at(deadline):
                        return await _adopt(sock, requester, context)
                except (OSError, ValueError) as error:
                    # Looking at a certificate that was refused blocks, for a moment.
                    failed = asyncio.to_thread(handshake_failed, target, error, timeout, partial(dial_tcp, target))
                    raise await failed from error
        raise TypeError(f"not a target: {target!r}")

    @property
    def reusable(self) -> bool:
        """Whether it can take another request, for all that has been read."""
        return self._end is None and self._requester.reusable

    async def usable(self) -> bool:
        """Whether an idle connection can take a request: no end, no goodbye and nothing unasked has arrived."""
        if self._end is None and self._poll.poll(0):
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        if isinstance(self._end, ProtocolError):
            await self.closed()
        return self.reusable and seconds_asleep() - self._asleep <= NAP

    async def exchange(
        self, method: str, params: object, *, meta: bool, plain: bool, deadline: float | None = None
    ) -> Reply:
        """Exchange as `Connection.exchange` does, with its errors; `deadline` is on the loop's clock."""
        if isinstance(self._end, Dropped):
            raise Dropped(self._end.reason, not_run=True, hint=self._end.hint)
        if self._end is not None or self._transport is None:
            raise self._end or Dropped(CLOSED_HERE, not_run=True)
        request = self._requester.request(method, params, meta=meta, plain=plain)
        self._reply = self._loop.create_future()
        timer = None if deadline is None else self._loop.call_at(deadline, self._finish, TimeoutError())
        try:
            self._transport.write(request)
            # Where the system refuses it at once, only the transport knows so far.
            if not self._paused and not self._transport.is_closing():
                self._requester.sent()
            return await self._reply
        except ProtocolError:
            await self.closed()
            raise
        except TimeoutError:
            raise TimeoutError(self._requester.unfinished) from None
        finally:
            self._reply = None
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """Close it, at once unless it parts from a server; what still arrives is lost."""
        self._finish(Dropped(CLOSED_HERE, not_run=self._requester.unsent))

    def abandon(self) -> None:
        """Let go of it without its loop, which is closed, or another process's.

        That loop's selector may be shared with the other process, and must not be told of anything.
        """
        self._end = Dropped(CLOSED_HERE, not_run=True)
        self._transport = None
        # The transport may close this descriptor yet, which should be no other file's by then.
        with contextlib.suppress(OSError), contextlib.ExitStack() as ends:
            nowhere, _ = map(ends.enter_context, socket.socketpair())
            os.dup2(nowhere.fileno(), self._socket.fileno(), inheritable=False)

    async def closed(self) -> None:
        """Wait until the loop has let go of the socket."""
        await asyncio.shield(self._gone)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)
        # The transport then tells of every byte that the system has not taken; one of TLS counts from 1.
        self._transport.set_write_buffer_limits(high=int(isinstance(self._requester.target, TlsTarget)))

    def pause_writing(self) -> None:
        """Remember that a part of the request is not sent; asyncio calls this."""
        self._paused = True

    def resume_writing(self) -> None:
        """Remember that the request is sent; asyncio calls this."""
        self._paused = False
        self._requester.sent()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; asyncio calls this."""
        if self._end is not None:
            if self._quiet is not None:
                self._await_quiet()
            return
        requester = self._requester
        requester.receive(data)
        try:
            while (reply := requester.next_reply()) is not None:
                if self._reply is not None and not self._reply.done():
                    self._reply.set_result(reply)
                # A server that refuses a large request says so while it is being sent, and will not take the rest.
                if not requester.reusable:
                    self._finish(Dropped("the server is closing it", not_run=True))
                    return
        except (Dropped, ProtocolError) as error:
            self._finish(error)
            return
        if requester.mid_frame and isinstance(requester.target, TcpTarget):
            acknowledge(self._socket)

    def eof_received(self) -> None:
        """Take the end of the stream; asyncio calls this."""
        self._finish(self._requester.ended())

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the connection; asyncio calls this."""
        target = self._requester.target
        if isinstance(error, ssl.SSLError) and isinstance(target, TlsTarget):
            error = broken(target, error)
        if error is None or isinstance(error, OSError):
            error = self._requester.ended(error)
        self._finish(error)
        if not self._gone.done():
            self._gone.set_result(None)

    def _finish(self, end: Exception) -> None:
        """Let no further request in, and tell the one that waits how it ended."""
        if self._end is None:
            self._end = end
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(end)
        if self._transport is not None and not self._parts:
            if isinstance(end, ProtocolError):
                self._part(self._transport)
            else:
                self._transport.abort()

    def _part(self, transport: asyncio.Transport) -> None:
        """End it as `dialling.part` does."""
        self._parts = True
        self._await_quiet()
        self._loop.call_later(PARTING, self._stop_sending)
        self._loop.call_later(2 * PARTING, transport.abort)

    def _await_quiet(self) -> None:
        """Say that nothing more comes once the server has said nothing for a moment."""
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = self._loop.call_later(QUIET, self._stop_sending)

    def _stop_sending(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)


async def _dial_tcp(target: TcpTarget | TlsTarget, deadline: float, timeout: float) -> socket.socket:
    try:
        async with asyncio.timeout_at(deadline):
            return await _first_connected(deque(await _addresses(target)))
    except OSError as error:
        raise tcp_failed(target, error, timeout) from error


async def _first_connected(untried: deque[Address]) -> socket.socket:
    failure: BaseException = ConnectionRefusedError()
    connecting: set[asyncio.Task[socket.socket]] = set()
    try:
        while untried or connecting:
            if untried:
                connecting.add(asyncio.create_task(_connect(untried.popleft())))
            delay = ATTEMPT_DELAY if untried else None
            for task in (await asyncio.wait(connecting, timeout=delay, return_when=asyncio.FIRST_COMPLETED))[0]:
                connecting.remove(task)
                if (error := task.exception()) is None:
                    return task.result()
                failure = error
    finally:
        for task in connecting:
            task.cancel()
            task.add_done_callback(_discard)
    raise failure


def _discard(connected: asyncio.Task[socket.socket]) -> None:
    if not connected.cancelled() and connected.exception() is None:
        connected.result().close()


async def _addresses(target: TcpTarget | TlsTarget) -> list[Address]:
    try:
        loop = asyncio.get_running_loop()
        return streams(await loop.getaddrinfo(encoded_host(target), target.port, type=socket.SOCK_STREAM))
    except (UnicodeError, socket.gaierror) as error:
        raise lookup_failed(target, error) from error


async def _connect(where: Address) -> socket.socket:
    family, address = where
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        settle(sock)
    except BaseException:
        sock.close()
        raise
    return sock


async def _dial_unix(target: UnixTarget, deadline: float, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        while True:
            try:
                sock.connect(target.name)
            except BlockingIOError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(_ROOM)
            else:
                return sock
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise unix_failed(target, error, timeout) from error
        raise


async def _adopt(sock: socket.socket, requester: Requester, context: ssl.SSLContext | None = None) -> AsyncConnection:
    name = server_name(requester.target) if isinstance(requester.target, TlsTarget) else None
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: AsyncConnection(requester, sock), sock=sock, ssl=context, server_hostname=name
        )
    except BaseException:
        sock.close()
        raise
    return connection


class LoopLocks:
    """What the calls of one client wait for, on the loop that it belongs to: so many are under way, and one dials."""

    def __init__(self, parallel: int) -> None:
        self._parallel = parallel
        self.semaphore = asyncio.Semaphore(parallel)
        self.connecting = asyncio.Lock()

    async def take_turn(self, deadline: float | None) -> None:
        """Wait for the turn of a call; raises `TimeoutError` at the `deadline`, on the loop's clock."""
        async with asyncio.timeout_at(deadline):
            await self.semaphore.acquire()

    def anew(self) -> LoopLocks:
        """The same for another loop."""
        return LoopLocks(self._parallel)
