"""JSON over HTTP as a stream: each message that is sent is posted, and what responses hold is received.

Bodies are JSON, or a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)
whose data is JSON. Python's own client does, for which nothing needs to be installed and which a one-shot call can wait
for; it blocks, so that each request has a thread. The other end of a socket pair makes it a stream for both drivers.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from rpcshell.client.diagnosis import system_reason
from rpcshell.client.dialling import acknowledge
from rpcshell.client.errors import ProtocolError, ShellError
from rpcshell.client.exchange import Dropped
from rpcshell.client.http_connection import is_readable, open_connection, shut_down
from rpcshell.client.http_responses import (
    EventPlace,
    NoMessage,
    check_length,
    error_message,
    message_of,
    reply_id,
    unusable,
    whole_body,
)
from rpcshell.client.threads import thread_for
from rpcwire import MAX_REPLY
from rpcwire.framings import FRAMINGS

if TYPE_CHECKING:
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.target import HttpTarget, TlsFiles

_AT_ONCE: Final = 16
_HEARD: Final = 2.0
"""Seconds that a server has to say that it has heard what needs no reply, before it is sent more."""


class HttpStream:
    """A URL with the methods of a non-blocking socket, for messages of which each is a line.

    The dialect gives headers for each request, and is told those of each response. A connection may take `timeout`
    seconds to be made.

    Raises:
        ConnectionFailed: No connection could be made.
    """

    def __init__(self, target: HttpTarget, dialect: FramedDialect, timeout: float, tls: TlsFiles | None) -> None:
        self._dialect = dialect
        self._failure: Exception | None = None
        self._target = target
        self._open = partial(open_connection, target, timeout, tls)
        self._lock = threading.Lock()
        self._semaphore = threading.Semaphore(_AT_ONCE)
        self._busy: dict[http.client.HTTPConnection, EventPlace] = {}
        self._given_up: dict[object, bool] = {}
        self._ended = threading.Event()
        self._post_to = target.url
        self._channel: threading.Event | None = None
        self._understood = False
        self._idle = [self._open()]
        self._socket, self._inside = socket.socketpair()
        self._socket.setblocking(False)
        self.fileno: Callable[[], int] = self._socket.fileno
        self.recv: Callable[[int], bytes] = self._socket.recv
        # Each message is a line, and is posted by itself.
        self.send: Callable[[memoryview], int] = self._socket.send
        threading.Thread(target=self._post_all, name="http", daemon=True).start()

    def why_ended(self) -> Exception | None:
        """Why the stream has ended, where it was not closed here."""
        return self._failure

    def close(self) -> None:
        """Close it; requests under way are broken off."""
        self._socket.close()
        self._ended.set()
        with self._lock:
            idle, self._idle = self._idle, []
            for connection in self._busy:
                shut_down(connection)
        for connection in idle:
            connection.close()

    def abandon(self) -> None:
        """Close the descriptors, which are another process's too."""
        self._socket.close()
        self._inside.close()
        for connection in (*self._busy, *self._idle):
            connection.close()

    def start(self, method: str) -> Future[None]:
        """Make a request without a body in a thread of its own; the future is done once its response has ended.

        A stream of events that GET opens is opened again whenever it ends, as long as the server goes along with that.
        Nothing is done where all that the server says comes by a stream already.
        """
        done: Future[None] = Future()

        def run() -> None:
            place = EventPlace()
            try:
                with contextlib.suppress(ShellError, Dropped, OSError):
                    while self._exchange(method, b"", place) and method == "GET":
                        self._ended.wait(place.pause)
            finally:
                done.set_result(None)

        if self._channel is not None or thread_for(run, "http") is None:
            done.set_result(None)
        return done

    def break_off(self, number: int) -> None:
        """End the request whose message has this id, as nobody waits for what comes of it."""
        with self._lock:
            if number in self._given_up:
                self._given_up[number] = True
                for connection, place in self._busy.items():
                    if place.id == number:
                        shut_down(connection)

    def request(self, message: bytes, id: object) -> None:
        """Post a message and receive what its response holds; where it breaks off, that is fetched if it can be.

        Raises:
            ShellError: There is no response that can be used, or no connection.
            Dropped: The response did not come whole.
            OSError: Nobody receives any more.
        """
        if self._channel is not None:
            self._post_apart(message)
            return
        place = EventPlace(id)
        try:
            streams = self._exchange("POST", message, place)
        except NoMessage as refusal:
            if not (400 <= refusal.status < 500 and self._dialect.replies_apart and self._open_channel()):
                raise
            self._post_apart(message)
            return
        while streams and isinstance(id, str) and not place.answered and not self._ended.wait(place.pause):
            # It is no call, but the request that listens for as long as the connection lasts.
            streams = self._exchange("POST", message, place)
        while isinstance(id, int) and not place.answered:
            if place.last is None:
                raise Dropped("the stream of events ended before the reply", not_run=False)
            if self._given_up.get(id) or self._ended.wait(place.pause):
                return
            if not self._exchange("GET", b"", place):
                raise Dropped("the rest of the stream of events cannot be had", not_run=False)

    def _open_channel(self) -> bool:
        """Open the stream of events by which replies come, and wait for the URL that it names; whether it did.

        As MCP has it in its version of 2024-11-05 (the transport "HTTP with SSE").
        """
        named = threading.Event()
        refused: list[ProtocolError] = []

        def name(endpoint: str) -> None:
            url = urljoin(self._target.url, endpoint)
            if urlsplit(url)[:2] != urlsplit(self._target.url)[:2]:
                # What goes with each request, a token perhaps, is for this server alone.
                raise ProtocolError(f"{self._target} wants messages to be posted to another server: {url}")
            self._post_to, self._channel = url, named
            named.set()

        def read() -> None:
            try:
                self._exchange("GET", b"", EventPlace(), name)
            except ProtocolError as error:
                refused.append(error)
            except (ShellError, Dropped, OSError):
                pass
            finally:
                named.set()
                if self._channel is not None:
                    self._fail(Dropped("the stream of events ended", not_run=False))

        if thread_for(read, "http") is None:
            return False
        named.wait()
        if refused:
            raise refused[0]
        return self._channel is not None

    def _post_apart(self, message: bytes) -> None:
        """Post a message whose reply comes by the stream of events."""
        connection, response = self._respond("POST", message, EventPlace())
        reusable = False
        try:
            body = whole_body(response, self._target)
            reusable = not response.will_close
        except (http.client.HTTPException, OSError) as error:
            raise self._broken(error) from error
        finally:
            self._let_go(connection, response, reusable=reusable)
        if response.status >= http.HTTPStatus.MULTIPLE_CHOICES:
            raise unusable(response, body, self._target)

    def _let_go(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, *, reusable: bool
    ) -> None:
        """Keep a connection for another request, or close it."""
        with self._lock:
            self._busy.pop(connection, None)
            if reusable and not self._ended.is_set():
                self._idle.append(connection)
                return
        response.close()
        connection.close()

    def _fail(self, error: Exception) -> None:
        """End the stream for what uses it, for this reason if it is the first one."""
        self._failure = self._failure or error
        with contextlib.suppress(OSError):
            self._inside.shutdown(socket.SHUT_RDWR)

    def _exchange(
        self, method: str, message: bytes, place: EventPlace, on_endpoint: Callable[[str], None] | None = None
    ) -> bool:
        """Make one request and receive what its response holds, until its end; whether that was a stream of events."""
        connection, response = self._respond(method, message, place)
        reusable = streams = False
        body = b""
        try:
            check_length(response, self._target)
            received = {name.lower(): value for name, value in response.getheaders()}
            if (over := self._dialect.response_headers(response.status, received)) is not None:
                # What else is under way may run.
                raise Dropped(over, not_run=self._calls <= 1)
            kind = received.get("content-type", "").partition(";")[0].strip().lower()
            streams = kind == "text/event-stream" and response.status == http.HTTPStatus.OK
            if streams:
                place.receive(response, self._inside.sendall, on_endpoint)
                # One of a known length is not closed by its last line.
                response.close()
            else:
                body = message_of(response, place, self._target) if message else whole_body(response, self._target)[:0]
            # Of one that is both in chunks and of a length nobody knows where another reader sees its end.
            reusable = not (response.will_close or (response.chunked and "content-length" in received))
        except (http.client.HTTPException, OSError) as error:
            if place.last is None or place.answered or self._ended.is_set():
                raise self._broken(error) from error
        finally:
            self._let_go(connection, response, reusable=reusable)
        self._understood = self._understood or place.answered
        # Not before another call may use the connection: whoever gets this may make one.
        self._inside.sendall(body)
        return streams

    @property
    def _calls(self) -> int:
        """How many requests are under way that are calls without a reply."""
        with self._lock:
            return sum(isinstance(place.id, int) and not place.answered for place in self._busy.values())

    def _respond(
        self, method: str, body: bytes, place: EventPlace
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request over a connection that is idle, or else a new one."""
        headers = {
            "Accept": "text/event-stream" if method == "GET" else "application/json, text/event-stream",
            **dict(self._target.headers),
            **self._dialect.request_headers(body),
        }
        if body:
            headers["Content-Type"] = "application/json"
        elif place.last is not None:
            headers["Last-Event-ID"] = place.last
        parts = urlsplit(self._target.url if method == "GET" else self._post_to)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with self._lock:
            # One that its server has closed meanwhile can be read.
            while self._idle and is_readable(self._idle[-1].sock):
                self._idle.pop().close()
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._open()
        with self._lock:
            self._busy[connection] = place
            if self._ended.is_set() or self._given_up.get(place.id):
                shut_down(connection)
        try:
            connection.request(method, path, body or None, headers)
            # A server may send headers and body apart, the body only once the headers are acknowledged.
            acknowledge(connection.sock)
            return connection, connection.getresponse()
        except BaseException as error:
            with self._lock:
                self._busy.pop(connection, None)
            connection.close()
            if isinstance(error, http.client.HTTPException | OSError | ValueError):
                raise self._broken(error) from error
            raise

    def _broken(self, error: Exception) -> Exception:
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            return ProtocolError(f"{self._target} is no HTTP server", hint="leave out http://, and name the framing")
        reason = system_reason(error) if isinstance(error, OSError) else str(error) or type(error).__name__
        return Dropped(f"no whole response came: {reason}", not_run=False)

    def _post_all(self) -> None:
        """Post what this end is sent, until that ends."""
        lines = FRAMINGS["line"].decoder(MAX_REPLY)
        with contextlib.suppress(OSError), self._inside:
            while data := self._inside.recv(65536):
                lines.feed(data)
                while (message := lines.next_frame()) is not None:
                    self._post_one(bytes(message))

    def _post_one(self, message: bytes) -> None:
        id = reply_id(message)
        self._semaphore.acquire()
        if id is not None:
            with self._lock:
                self._given_up[id] = False
        thread = thread_for(partial(self._post, message, id), "http")
        if thread is None:
            self._post(message, id)
        elif id is None:
            # What follows it may be wrong where this was not yet heard.
            thread.join(_HEARD)

    def _post(self, message: bytes, id: object) -> None:
        try:
            self.request(message, id)
        except (ShellError, Dropped) as error:
            if not (isinstance(id, int) or id is EventPlace.ANY) or self._given_up.get(id):
                return
            known = isinstance(id, int) and (self._understood or self._channel is not None)
            if known and isinstance(error, NoMessage) and 500 <= error.status < 600:
                # The session goes on where a server fails, or a proxy: only a status that the dialect knows ends it.
                with contextlib.suppress(OSError):
                    self._inside.sendall(error_message(error, id))
            else:
                self._fail(error)
        except OSError:
            # It was closed here.
            pass
        finally:
            with self._lock:
                self._given_up.pop(id, None)
            self._semaphore.release()
