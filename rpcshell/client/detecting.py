"""Finding out what a server speaks that nobody has named: connections, waiting, and the verdict.

Which guess comes when, and what the answers say, is `rpcshell.client.detection`'s business.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import select
import socket
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from rpcshell.client.any_client import DETECTION_CONNECT_TIMEOUT
from rpcshell.client.detection import LIMIT, PATIENCE, TLS_GREETING, Detection, Outcome
from rpcshell.client.dialect_names import OWN, in_other_packages
from rpcshell.client.dialects.envelope import Envelope
from rpcshell.client.dialects.envelope_signs import EnvelopeSigns
from rpcshell.client.dialects.recognition import HTTP, MOST_FIRST_BYTES, NATIVE, Guess, NativeSigns, Recogniser
from rpcshell.client.dialects.registry import load_dialect
from rpcshell.client.dialling import dial, ends_of, hear_out
from rpcshell.client.errors import ConnectionFailed, UsageError
from rpcshell.client.socket_owners import greets, has_taken, listening_program, tcp_listening_program
from rpcshell.client.target import ChildTarget, FleetTarget, HttpTarget, TcpTarget, TlsTarget, UnixTarget, as_target
from rpcshell.client.verdict import Finding

if TYPE_CHECKING:
    from rpcshell.client.dialects import DialectFactory
    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.client.tls import TlsStream
    from rpcshell.client.trace import PendingQuestion

_LONGEST_ROUND_TRIP: Final = 0.3
_PATH: Final = "/mcp"
"""The path at which a server of HTTP is asked where none was given: the one that MCP's own examples have."""


def detect(
    target: str | tuple[str, int] | Target,
    *,
    timeout: float = DETECTION_CONNECT_TIMEOUT,
    tls: TlsFiles | None = None,
    dialects: Mapping[str, DialectFactory] = MappingProxyType({}),
) -> Target:
    """Find out what a server speaks, by guesses on connections of their own, in less than 3 s, or 10 s if it is busy.

    Args:
        target: Where it is, as for `connect`, without a dialect; or a URL, without one as well.
        timeout: Seconds for making the first connection.
        tls: The files that a TLS target is verified with, and those that it is shown.
        dialects: Envelopes that may be spoken there too, by names of your own.

    Returns:
        The target with what is spoken there, for `connect` and `connect_async`.

    Raises:
        UsageError: The target's text makes no sense, or it is a child, of which nobody can tell.
        ConnectionFailed: No connection could be made.
        ProtocolError: What answers is not understood, or nothing does; the message says what there is.

    Example:
        >>> with connect(detect("unix:/run/vm.sock")) as client:  # doctest: +SKIP
        ...     client.call("query-status")
    """
    where = as_target(target)
    if where.dialect or isinstance(where, FleetTarget):
        return where
    finding = find_out(where, timeout=timeout, tls=tls, dialects=dialects)
    if finding.target is None:
        raise finding.error
    return finding.target


def find_out(
    target: Target,
    *,
    timeout: float = DETECTION_CONNECT_TIMEOUT,
    tls: TlsFiles | None = None,
    limit: float | None = None,
    dialects: Mapping[str, DialectFactory] = MappingProxyType({}),
    beside: PendingQuestion | None = None,
) -> Finding:
    """Look at a server as `detect` does, and say what was found, whatever that is.

    There are `limit` seconds for all guesses together, if not the usual ones. Where something is `beside` it that waits
    for an answer, nothing is looked for any more once that one has news.

    Raises:
        UsageError: It is a child.
        ConnectionFailed: No connection could be made, or the server's TLS refuses this client.
    """
    if isinstance(target, ChildTarget):
        raise UsageError("what a child speaks has to be named", hint=f"as in jsonrpc:{target}")
    address = target.address if isinstance(target, HttpTarget) else target
    known = tuple(recognisers(dialects))
    without: tuple[Guess, ...] = ()
    if isinstance(target, UnixTarget):
        # No URL leads to a Unix socket.
        without = tuple(guess for one in known for guess in one.guesses if guess.refines == HTTP)
    began = time.monotonic()
    first = dial(address, timeout, tls)
    with contextlib.ExitStack() as stack:
        stack.callback(first.close)
        now = time.monotonic()
        program = listening_program(first)
        listener = program or tcp_listening_program(first)
        detection = Detection(
            known,
            (TLS_GREETING,) if isinstance(target, TcpTarget | UnixTarget) else (),
            without=without,
            over_http=isinstance(target, HttpTarget),
            began=now,
            limit=LIMIT if limit is None else limit,
            patience=PATIENCE + min(now - began, _LONGEST_ROUND_TRIP),
            greets=greets(listener),
            takes=lambda number: driver.takes(number),  # noqa: PLW0108 - it is made only then
            is_asked=lambda: driver.is_asked(),  # noqa: PLW0108
        )
        driver = _Driver(target, detection, stack, first, tls, beside)
        outcome = driver.run()
    who = listener if outcome == "silent" else program
    return Finding(target, _spoken_at(target, detection), outcome, tuple(detection.attempts), who, detection.is_working)


def recognisers(dialects: Mapping[str, DialectFactory] = MappingProxyType({})) -> Iterator[Recogniser]:
    """What tells each dialect by a server's first bytes; some have no such thing, and some cannot be loaded."""
    yield NativeSigns()
    if dialects:
        yield from (EnvelopeSigns(name, one) for name, one in dialects.items() if isinstance(one, Envelope))
    for name in dict.fromkeys((*OWN, *in_other_packages())):
        if name == NATIVE:
            continue
        with contextlib.suppress(UsageError):
            dialect = load_dialect(name)
            # What a base class recognises is that one's business.
            if "recognises" in vars(dialect) if isinstance(dialect, type) else hasattr(dialect, "recognises"):
                yield dialect


def _spoken_at(target: Target, detection: Detection) -> Target | None:
    recognition = detection.recognition
    if detection.outcome != "recognised" or recognition is None:
        return None
    if detection.over_http and not isinstance(target, HttpTarget):
        target = _url(target)
    return msgspec.structs.replace(target, dialect="" if recognition.spoken == NATIVE else recognition.spoken)


class _Driver:
    """The connections of one detection, all of which the stack closes."""

    def __init__(
        self,
        target: Target,
        detection: Detection,
        stack: contextlib.ExitStack,
        first: socket.socket | TlsStream,
        tls: TlsFiles | None,
        beside: PendingQuestion | None,
    ) -> None:
        self._target = target
        self._address = target.address if isinstance(target, HttpTarget) else target
        self._detection = detection
        self._stack = stack
        self._first: socket.socket | TlsStream | None = first
        self._tls = tls
        self._streams: dict[int, tuple[int, socket.socket | TlsStream]] = {}
        self._current: list[socket.socket | TlsStream] = []
        self._poll = select.poll()
        self._beside = beside
        if beside is not None:
            self._poll.register(beside.fileno(), select.POLLIN)

    def run(self) -> Outcome:
        """Make guesses until there is an outcome."""
        detection = self._detection
        while True:
            while (guess := detection.next_guess(time.monotonic())) is not None:
                self._make(guess)
            if detection.outcome is not None:
                for number, stream in self._streams.values():
                    attempt = detection.attempts[number]
                    if attempt.first and not attempt.guess.said and not attempt.end:
                        # Leave no server inside what it says unasked.
                        hear_out(stream)
                return detection.outcome
            if detection.left:
                self._let_go()
            if self._listen(max(detection.due - time.monotonic(), 0)):
                return "answered"

    def takes(self, number: int) -> bool:
        """Whether the server is known to have accepted the connection of an attempt."""
        stream = next((stream for one, stream in self._streams.values() if one == number), None)
        # A handshake of TLS takes somebody who makes it.
        return stream is not None and (not isinstance(stream, socket.socket) or has_taken(ends_of(stream)))

    def is_asked(self) -> bool:
        """Whether the server is known to have taken what is beside, of which it was told that no more is asked."""
        beside = self._beside
        if beside is None or not beside.left or beside.over:
            return False
        return _has_read(beside) if isinstance(self._address, UnixTarget) else has_taken(beside.ends())

    def _make(self, guess: Guess) -> None:
        number = len(self._detection.attempts) - 1
        try:
            stream = self._connected(beside=self._detection.beside)
        except ConnectionFailed as error:
            refused = isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError)
            self._detection.ended(number, time.monotonic(), "refused" if refused else "failed")
            return
        self._current.append(stream)
        if isinstance(stream, socket.socket):
            stream.setblocking(False)
        said = _request(_url(self._target), guess.said) if guess.refines == HTTP else guess.said
        # A guess is shorter than any buffer. Where it cannot be sent the end that is read next says why.
        with contextlib.suppress(OSError):
            if said:
                stream.send(memoryview(said))
        self._streams[stream.fileno()] = number, stream
        self._poll.register(stream.fileno(), select.POLLIN)
        self._detection.sent(time.monotonic())

    def _connected(self, *, beside: bool) -> socket.socket | TlsStream:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        left = max(self._detection.end - time.monotonic(), 0.01)
        stream = None
        if beside:
            # Where there is no room for it, those before have to go.
            with contextlib.suppress(ConnectionFailed):
                stream = dial(self._address, min(PATIENCE, left), self._tls)
        if stream is None:
            self._let_go()
            stream = dial(self._address, left, self._tls)
        self._stack.callback(stream.close)
        return stream

    def _let_go(self) -> None:
        """Have the server go on to the next connection; what it still has to say to the current ones is heard."""
        while self._current:
            with contextlib.suppress(OSError):
                self._current.pop().shutdown(socket.SHUT_WR)

    def _listen(self, seconds: float) -> bool:
        """Read what comes until then; whether there are news of what is beside it."""
        for descriptor, _ in self._poll.poll(math.ceil(seconds * 1000)):
            if self._beside is not None and descriptor == self._beside.fileno():
                if self._beside.has_news():
                    return True
                if self._beside.over:
                    self._poll.unregister(descriptor)
                continue
            number, stream = self._streams[descriptor]
            if not self._read(number, stream):
                self._poll.unregister(descriptor)
        return False

    def _read(self, number: int, stream: socket.socket | TlsStream) -> bool:
        """Read what there is; whether there may be more of it."""
        try:
            while data := stream.recv(MOST_FIRST_BYTES):
                if not self._detection.received(number, data, time.monotonic()):
                    return False
        except BlockingIOError:
            return True
        except OSError:
            pass
        self._detection.ended(number, time.monotonic())
        return False


def _has_read(question: PendingQuestion) -> bool:
    """Whether all that was said on a Unix socket is known to have been read."""
    if sys.platform != "linux":
        return False
    # unix(7), SIOCOUTQ: what the other end has not taken, which terminals have by the same number.
    unread = fcntl.ioctl(question.fileno(), termios.TIOCOUTQ, bytes(4))
    return not any(unread)


def _url(target: Target) -> HttpTarget:
    """The URL at which a target is asked over HTTP."""
    if isinstance(target, HttpTarget):
        return target
    scheme = "https" if isinstance(target, TlsTarget) else "http"
    return HttpTarget(f"{scheme}://{target.address if isinstance(target, TlsTarget) else target}{_PATH}")


def _request(target: HttpTarget, body: bytes) -> bytes:
    """A request of HTTP (RFC 9112) for which the server closes the connection: a POST, or without a body a GET."""
    parts = urlsplit(target.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    about = {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}
    headers = {
        "Host": parts.netloc,
        "Accept": "application/json, text/event-stream" if body else "text/event-stream",
        **about,
        **{name: value for name, value in target.headers if name.lower() != "content-length"},
        "Connection": "close",
    }
    method = "POST" if body else "GET"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body
