"""Mistakes made on purpose: what a broken, slow or foreign client might send, and whether a server treats it rightly.

Each has a connection of its own. Which server may be treated like that is the caller's business; so is how what
happens looks on a screen.
"""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from rpcshell.client.diagnosis import system_reason
from rpcshell.client.dialling import dial
from rpcshell.shell.why.cutting import cut_frames
from rpcshell.view.units import duration
from rpcwire import ErrorCode, FrameDecoder, FrameError, MessageError, Reply, decode_reply
from rpcwire.framing import MAX_REPLY, PREFIX_SIZE, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.client.target import Target, TlsFiles

PATIENCE: Final = 10.0
"""Seconds of silence after which a server is taken to say nothing."""

_LINGER: Final = 0.3
"""Seconds after a reply in which a server that closes the connection does so."""

_PAUSE: Final = 0.05
_SLOW_TAKES: Final = 2.0
_READ: Final = 1 << 16
_OVERSIZED: Final = 0x7FFF_FFFF

MistakeName = Literal["split", "truncated", "oversized", "zero", "bad-utf8", "slow", "garbage"]


class Mistake(msgspec.Struct, frozen=True):
    """A kind of mistake: what is sent, and what the protocol wants to come of it, and why."""

    summary: str
    code: int | None
    """Of the error; 0 for an ordinary reply, None for no reply at all."""
    goes_on: bool
    """Whether the connection can be used after it."""
    reason: str


MISTAKES: Final[dict[MistakeName, Mistake]] = {
    "split": Mistake(
        "a request in four pieces", 0, True, "where a frame ends is told by its length, not by its packets"
    ),
    "truncated": Mistake(
        "half of a request, and then the end of the stream", None, False, "what is cut off never runs"
    ),
    "oversized": Mistake(
        "a frame that says it has 2 GiB",
        ErrorCode.FRAME_TOO_LARGE,
        False,
        "it is refused by its length, before anything is read or kept for it",
    ),
    "zero": Mistake(
        "a frame of no bytes", ErrorCode.INVALID_REQUEST, False, "no message is empty, so the stream is out of step"
    ),
    "bad-utf8": Mistake(
        "a request with bytes that are not UTF-8",
        ErrorCode.PARSE_ERROR,
        True,
        "the frame is good and only its content is not, so the next one can be read",
    ),
    "slow": Mistake("a request byte by byte", 0, True, "a slow client is served, until --read-timeout is over"),
    "garbage": Mistake(
        "an HTTP request, as a lost browser would",
        ErrorCode.FRAME_TOO_LARGE,
        False,
        '"GET " read as a length is 542,393,671',
    ),
}


class Piece(msgspec.Struct, frozen=True):
    """Something to send: bytes, or none for the end of the stream."""

    data: bytes
    about: str = ""
    pause: float = 0.0
    """Seconds to wait before."""
    quiet: bool = False
    """Whether it is not worth a step of its own."""
    shown: bytes = b""
    """What is told to have been sent with it, where that is more."""


class WireEvent(msgspec.Struct, frozen=True):
    """What happened: bytes were sent or came, the server ended the connection or said nothing, or it goes on."""

    at: float
    """Seconds after the connection was there."""
    kind: Literal["sent", "came", "closed", "reset", "silent", "goes on"]
    data: bytes = b""
    about: str = ""


def plan(name: MistakeName, request: bytes, rate: float | None = None) -> list[Piece]:
    """What is sent for a mistake, made of a good request in its frame.

    `rate` is for `slow`, in bytes a second; as many as take two seconds if not given.
    """
    half = PREFIX_SIZE + (len(request) - PREFIX_SIZE) // 2
    length = len(request) - PREFIX_SIZE
    match name:
        case "split":
            return [
                Piece(request[:2], "half of the length"),
                Piece(request[2:PREFIX_SIZE], f"the rest of it: {length} bytes will come", _PAUSE),
                Piece(request[PREFIX_SIZE:half], "half of the request", _PAUSE),
                Piece(request[half:], "the rest of it", _PAUSE),
            ]
        case "truncated":
            return [
                Piece(request[:half], f"a length of {length}, and {half - PREFIX_SIZE} bytes"),
                Piece(b"", "the end of the stream (FIN)"),
            ]
        case "oversized":
            return [Piece(_OVERSIZED.to_bytes(PREFIX_SIZE, "little") + b"{", f"a length of {_OVERSIZED:,}")]
        case "zero":
            return [Piece(bytes(PREFIX_SIZE), "a length of 0")]
        case "bad-utf8":
            return [Piece(frame(b'{"in":"ping\xff\xfe","params":null}'), "0xff and 0xfe are in no UTF-8")]
        case "slow":
            pause = _SLOW_TAKES / len(request) if rate is None else 1 / rate
            about = f"one at a time, {1 / pause:.3g} a second"
            dribble = [Piece(request[at : at + 1], "", pause, quiet=True) for at in range(len(request) - 1)]
            return [*dribble, Piece(request[-1:], about, pause, shown=request)]
        case "garbage":
            return [Piece(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "no frame at all")]


class Provocation:
    """One mistake on its way; `timeout` is in seconds, for making the connection."""

    def __init__(self, target: Target, tls: TlsFiles | None, timeout: float) -> None:
        self._socket = dial(target, timeout, tls)
        if isinstance(self._socket, socket.socket):
            self._socket.setblocking(False)
        self._decoder = FrameDecoder(MAX_REPLY)
        self._poll = select.poll()
        self._poll.register(self._socket.fileno(), select.POLLIN)
        self._began = time.monotonic()
        self._over = False
        self._answers = 0

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def run(self, pieces: list[Piece], good: bytes) -> Iterator[WireEvent]:
        """Send pieces, then a good request to see whether the connection goes on, and tell what happens."""
        for piece in pieces:
            yield from self._hear(piece.pause)
            if self._over:
                return
            if not self._send(piece):
                yield from self._hear(PATIENCE)
                return
            if not piece.quiet:
                yield WireEvent(self._at, "sent", piece.shown or piece.data, piece.about)
        yield from self._hear(PATIENCE, until=lambda: self._answers > 0)
        if self._answers:
            yield from self._hear(_LINGER)
        if self._over or not self._answers:
            return
        before = self._at
        self._send(Piece(good))
        answered = list(self._hear(PATIENCE, until=lambda: self._answers > 1))
        if self._answers > 1:
            took = duration(self._at - before)
            yield WireEvent(self._at, "goes on", about=f"a good request after it was answered in {took}")
        else:
            yield from answered

    @property
    def _at(self) -> float:
        return time.monotonic() - self._began

    def _send(self, piece: Piece) -> bool:
        """Send all of a piece; false where the server takes no more."""
        if not piece.data:
            # Under TLS as well it is TCP's end, and not one that TLS has announced.
            with socket.socket(fileno=os.dup(self._socket.fileno())) as same, suppress(OSError):
                same.shutdown(socket.SHUT_WR)
            return True
        rest = memoryview(piece.data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                select.select([], [self._socket.fileno()], [], PATIENCE)
            except OSError:
                return False
        return True

    def _hear(self, seconds: float, until: Callable[[], bool] | None = None) -> Iterator[WireEvent]:
        """Listen for so long, or until there is what is waited for."""
        deadline = time.monotonic() + seconds
        while not self._over and not (until is not None and until()):
            left = deadline - time.monotonic()
            if left <= 0:
                if until is not None:
                    yield WireEvent(self._at, "silent", about=f"nothing came for {seconds:g} s")
                return
            if not self._poll.poll(left * 1000):
                continue
            try:
                data = self._socket.recv(_READ)
            except BlockingIOError:
                continue
            except OSError as error:
                self._over = True
                kind: Literal["reset", "closed"] = "reset" if isinstance(error, ConnectionError) else "closed"
                yield WireEvent(self._at, kind, about=system_reason(error))
                return
            if not data:
                self._over = True
                yield WireEvent(self._at, "closed", about="the end of the stream (FIN)")
                return
            yield from self._heard(data)

    def _heard(self, data: bytes) -> Iterator[WireEvent]:
        self._decoder.feed(data)
        try:
            while (body := self._decoder.next_frame()) is not None:
                self._answers += 1
                if self._answers == 1:
                    yield WireEvent(self._at, "came", frame(bytes(body)))
        except FrameError:
            yield WireEvent(self._at, "came", data)


_ENDS: Final = {
    "closed": "the connection was closed",
    "reset": "the connection was reset, so that a reply could have been lost",
    "silent": "then nothing, while the connection stayed open",
    "goes on": "the connection goes on",
}


def judge(name: MistakeName, events: Sequence[WireEvent]) -> tuple[bool, str]:
    """Whether the server did what the protocol wants, and a sentence on what it did."""
    mistake = MISTAKES[name]
    code = _code(events)
    end = next((event.kind for event in events if event.kind in _ENDS), "silent")
    if code is None and end == "silent":
        return False, "the server said nothing: all of its workers may be held by others (:workers), or it hangs"
    text = f"{_answer_text(code)}, and {_ENDS[end]}: "
    if code == mistake.code and end == ("goes on" if mistake.goes_on else "closed"):
        return True, f"{text}as it should be, since {mistake.reason}"
    goes_on = "goes on" if mistake.goes_on else "ends"
    return False, f"{text}the protocol wants {_answer_text(mistake.code)}, and that the connection {goes_on}"


def _answer_text(code: int | None) -> str:
    return "no answer" if code is None else f"error {int(code)}" if code else "an ordinary reply"


def _code(events: Sequence[WireEvent]) -> int | None:
    """The code of what was answered; 0 for an ordinary reply, None for nothing, or nothing that can be read."""
    came = next((event.data for event in events if event.kind == "came"), None)
    frames = cut_frames(came or b"")
    if not frames or not frames[0].whole:
        return None
    try:
        reply = decode_reply(frames[0].body, "text")
    except MessageError:
        return None
    if not isinstance(reply, Reply):
        return None
    return 0 if reply.fault is None else reply.fault.code
