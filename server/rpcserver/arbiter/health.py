"""Answers to balancers that ask whether this server lives and shall get calls, on the arbiter's epoll.

Over HTTP there are `/healthz` and `/readyz`. Whoever sends anything else, or nothing for a moment, is told in a word
what HAProxy's agent checks understand: `ready up`, `drain` or `down`. What is asked for is judged in `readiness`.

https://docs.haproxy.org/2.6/configuration.html#5.2-agent-check
"""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.arbiter.readiness import Fitness, Readiness
from rpcserver.system.log import RateLimit
from rpcserver.system.sockets import SHORTAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.system.loop import Reactor
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)

Judge = Callable[[], Readiness]
"""Says at once how the server is."""

_SILENCE: Final = 0.2
"""Seconds after which a client that has sent nothing is taken for an agent check."""

_PATIENCE: Final = 2.0
_MOST_CLIENTS: Final = 64
_ACCEPTS_AT_ONCE: Final = 16
_LONGEST_HEAD: Final = 8192
_PAUSE: Final = 1.0
_METHODS: Final = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"CONNECT ")
_ORIGIN: Final = re.compile(rb"\Ahttps?://[^/?]*", re.IGNORECASE)
_AGENT_WORDS: Final = {Fitness.READY: "ready up", Fitness.DRAINING: "drain"}


class HealthServer:
    """Answers who asks at listeners, which are closed with this, and never waits for one.

    Of clients that are too many the oldest are let go; each is answered once, and has two seconds to ask.
    """

    def __init__(self, listeners: Sequence[Listener], reactor: Reactor, judge: Judge) -> None:
        self._listeners = listeners
        self._reactor = reactor
        self._judge = judge
        self._clients: dict[int, _Client] = {}
        self._accepts_again: float | None = None
        self._refusals = RateLimit()
        self._watch()
        for listener in listeners:
            logger.info("health is told at %s", listener.address)

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        due = [client.deadline for client in self._clients.values()]
        return min(due if self._accepts_again is None else [*due, self._accepts_again], default=None)

    def run_due(self, now: float) -> None:
        """Answer those that are silent, and let those go whose time is over."""
        if self._accepts_again is not None and now >= self._accepts_again:
            self._accepts_again = None
            self._watch()
        for client in tuple(self._clients.values()):
            if now >= client.deadline:
                if client.silent:
                    self._answer(client, _agent_word(self._judge()))
                else:
                    self._let_go(client)

    def stop(self) -> None:
        """Let everybody go, and listen no more."""
        for client in tuple(self._clients.values()):
            self._let_go(client)
        for listener in self._listeners:
            self._reactor.unwatch(listener.fileno())
            listener.close()

    def close(self) -> None:
        """Close the descriptors in a forked child; the sockets stay."""
        for listener in self._listeners:
            listener.socket.close()
        for client in self._clients.values():
            client.socket.close()

    def _watch(self) -> None:
        for listener in self._listeners:
            self._reactor.watch(listener.fileno(), partial(self._on_clients, listener))

    def _on_clients(self, listener: Listener) -> None:
        # No more in one go, so that no flood keeps the arbiter from everything else.
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                accepted = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORTAGE:
                    self._pause(error)
                return
            accepted.setblocking(False)
            if len(self._clients) >= _MOST_CLIENTS:
                self._let_go(next(iter(self._clients.values())))
            client = _Client(accepted)
            self._clients[accepted.fileno()] = client
            self._reactor.watch(accepted.fileno(), partial(self._on_readable, client))

    def _pause(self, error: OSError) -> None:
        """Leave who asks in the queue for a second, of which epoll would tell without end."""
        if self._refusals.allows():
            logger.warning("nobody is told about the server's health for now: %s", error.strerror)
        for listener in self._listeners:
            self._reactor.unwatch(listener.fileno())
        self._accepts_again = time.monotonic() + _PAUSE

    def _on_readable(self, client: _Client) -> None:
        if client.socket.fileno() < 0:
            # It was closed earlier in the same round.
            return
        try:
            data = client.socket.recv(_LONGEST_HEAD)
        except BlockingIOError:
            return
        except OSError:
            self._let_go(client)
            return
        if client.answered:
            client.discarded += len(data)
            if not data or client.discarded > _LONGEST_HEAD:
                self._let_go(client)
            return
        client.head += data
        answer = reply_to(client.head, self._judge, ended=not data)
        if answer is not None:
            self._answer(client, answer)

    def _answer(self, client: _Client, answer: bytes) -> None:
        """Say it in one write, which the buffer of a socket always has room for, and read to the client's end."""
        client.answered = True
        try:
            client.socket.send(answer)
            client.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._let_go(client)

    def _let_go(self, client: _Client) -> None:
        descriptor = client.socket.fileno()
        self._reactor.unwatch(descriptor)
        self._clients.pop(descriptor, None)
        client.socket.close()


class _Client:
    """One who asks; what it sends once it was answered is thrown away."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.head = b""
        self.answered = False
        self.discarded = 0
        self._began = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether it has sent nothing."""
        return not (self.head or self.answered)

    @property
    def deadline(self) -> float:
        """Until when it may take to ask, or else to hear the answer, in monotonic seconds."""
        return self._began + (_SILENCE if self.silent else _PATIENCE)


def reply_to(head: bytes, judge: Judge, *, ended: bool) -> bytes | None:
    """Answer what has come of a client; None where more must come first. Where it has `ended`, no more will."""
    if not any(head.startswith(method) or method.startswith(head) for method in _METHODS) or (ended and not head):
        return _agent_word(judge())
    if b"\r\n\r\n" in head or b"\n\n" in head:
        method, _, rest = head.partition(b"\n")[0].partition(b" ")
        # A target may be written whole, with the host (RFC 9112, 3.2.2).
        path = _ORIGIN.sub(b"", rest.split(b" ")[0], count=1).partition(b"?")[0].strip()
        return _respond(method, path, judge)
    if ended or len(head) > _LONGEST_HEAD:
        return _response(HTTPStatus.BAD_REQUEST, {"status": "bad request", "reason": "the request does not end"})
    return None


def _agent_word(readiness: Readiness) -> bytes:
    """Say it in the words of HAProxy's agent checks."""
    word = _AGENT_WORDS.get(readiness.status) or f"down #{readiness.reason}"
    return f"{word}\n".encode()


def _respond(method: bytes, path: bytes, judge: Judge) -> bytes:
    body = method != b"HEAD"
    if path not in {b"/healthz", b"/readyz"}:
        said = {"status": "not found", "reason": "there are /healthz and /readyz"}
        return _response(HTTPStatus.NOT_FOUND, said, body=body)
    if method not in {b"GET", b"HEAD"}:
        return _response(HTTPStatus.METHOD_NOT_ALLOWED, {"status": "not allowed", "reason": "ask with GET or HEAD"})
    if path == b"/healthz":
        return _response(HTTPStatus.OK, {"status": "alive"}, body=body)
    readiness = judge()
    ready = readiness.status is Fitness.READY
    return _response(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, readiness, body=body)


def _response(status: HTTPStatus, said: object, *, body: bool = True) -> bytes:
    content = msgspec.json.encode(said) + b"\n"
    allow = "Allow: GET, HEAD\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nCache-Control: no-store\r\n{allow}Connection: close\r\n\r\n"
    )
    return head.encode() + (content if body else b"")
