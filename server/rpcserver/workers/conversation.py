"""One conversation with a client, without any I/O: bytes in; bytes to write, and what to wait for until when, out.

It is the same under every worker model. A driver reads, writes and waits as it says (`socket_drivers`,
`blocking_connection` and `aio_connection`); how requests are run is the models' business. TLS is a filter of the
bytes, here and nowhere else.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from rpcserver.service.context import Peer
from rpcserver.workers import limits
from rpcserver.workers.frame_budget import BudgetShare
from rpcserver.workers.limits import LINGER_BYTES, NEVER, PROGRESS, READ_SIZE, WRITE_SIZE
from rpcserver.workers.next_step import ANSWER, CLOSE, LINGER, READ, WRITE, Next
from rpcserver.workers.refusals import CrowdedOut, SlowFrame, describe, refuse_frame, refuse_stream
from rpcserver.workers.terms import reframed
from rpcwire import GOODBYE, FrameDecoder, FrameError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rpcserver.system.settings import ServerSettings
    from rpcserver.workers.frame_budget import FrameBudget
    from rpcserver.workers.tls_session import TlsSession
    from rpcwire.framings import Decoder, Framing

    Answer = Callable[[bytes | bytearray, Peer, bool], bytes]
    """How a request becomes a framed reply: the body, who sent it, and whether it is the connection's last."""

logger = logging.getLogger(__name__)
_T = TypeVar("_T")

_NOTHING: Final = memoryview(b"")


class Conversation:
    """Who speaks when on one connection, from its first byte to its close.

    After each event a driver calls `next` and does what that says. A wait that takes longer than until `deadline`
    ends with `expire`. Nothing is run while the client has not taken what it was sent, and what is read beyond the
    requests that are run stays one read's worth.

    Attributes:
        sole_request: returns the request's body where a read in plain text is exactly one request, which then was
            taken; else None, and nothing was done. Only between `READ` and what follows it.
        heard: whether something has come since `note_silence`.
        spoken: whether anything had come when `note_silence` was last called.
        leaving: whether it ends as soon as what has arrived is answered.
        last_said: whether the last reply, or a goodbye, is held or written.
        ended: whether the client has ended its side.
        reset: whether the client shall see a reset, as nobody reads what the kernel still holds.
        held: how many bytes of replies wait to be written.
        unwritten: how many bytes a transport below has taken and not written.
        taken: how many bytes the client has taken since the write deadline was set.
    """

    __slots__ = (
        "_began", "_crowded_out", "_decoder", "_discarded", "_end_said", "_failure", "_following", "_frame_began",
        "_framing", "_grace_deadline", "_hurried", "_linger_deadline", "_old_from", "_plain", "_quiet_since",
        "_replies", "_settings", "_share", "_tls", "_unsent", "_write_began", "ended", "heard", "held", "last_said",
        "leaving", "lost", "peer", "reset", "sole_request", "spoken", "taken", "unwritten",
    )  # fmt: skip

    sole_request: Callable[[bytes], bytes | None]

    def __init__(
        self,
        settings: ServerSettings,
        tls: ssl.SSLContext | None = None,
        budget: FrameBudget | None = None,
        framing: Framing | None = None,
    ) -> None:
        self.peer = Peer("unknown")
        # The protocol's own envelope goes with its own framing.
        self.peer.jsonrpc = framing is not None
        self._framing = framing
        # `_crowded_out` is whether a request was thrown away, as it came, and is to be answered so.
        self.heard = self.spoken = self._hurried = self._end_said = self._crowded_out = False
        self.leaving = self.last_said = self.ended = self.lost = self.reset = False
        self.held = self.unwritten = self.taken = self._discarded = 0
        self._settings = settings
        own = FrameDecoder(settings.max_frame)
        self._decoder: Decoder = own if framing is None else framing.decoder(settings.max_frame)
        self._share = BudgetShare(budget)
        # One request ahead of what is run: a reply that shall be the last must be known as such.
        self._following: bytes | bytearray | None = None
        self._failure: FrameError | None = None
        self._replies: list[bytes | memoryview] = []
        self._plain = _NOTHING
        self._unsent: bytes | memoryview = b""
        # Each is 0 where nothing of the kind is waited for.
        self._frame_began = self._write_began = self._linger_deadline = 0.0
        self._grace_deadline = NEVER
        self._began = self._quiet_since = monotonic()
        self._old_from = limits.old_from(settings, self._quiet_since)
        self._tls: TlsSession | None = None
        self.sole_request = own.sole_frame if framing is None and tls is None else lambda _data: None
        if tls is not None:
            from rpcserver.workers.tls_session import TlsSession

            self._tls = TlsSession(tls)
            self._frame_began = monotonic()

    @property
    def mid_frame(self) -> bool:
        """Whether part of a request, of a TLS record or of the handshake has come, and the rest is waited for."""
        return self._frame_began > 0.0

    @property
    def lingering(self) -> bool:
        """Whether `linger` was called."""
        return self._linger_deadline > 0.0

    @property
    def deadline(self) -> float:
        """Until when the client may take for what is waited for, in monotonic seconds."""
        if self._linger_deadline:
            return self._linger_deadline
        if self._write_began:
            return self._write_began + limits.writing_allowed(self._settings, hurried=self._hurried)
        if self._frame_began:
            deadline = self._frame_began + self._reading_allowed
            untouched = self._tls is not None and self._tls.untouched
            return min(deadline, self._grace_deadline) if untouched else deadline
        if self.leaving:
            return 0.0 if self.peer.heeds_close else self._grace_deadline
        limit = limits.silence_allowed(self._settings, spoken=self.spoken) or NEVER
        quiet_since = NEVER if self.heard else self._quiet_since
        grace, heeds = limits.grace_allowed(self._settings), self.peer.heeds_close
        return min(quiet_since + limit, limits.age_ends(self._old_from, quiet_since, grace, heeds_close=heeds))

    def receive(self, data: bytes) -> None:
        """Take what a read brought; nothing is the client's end."""
        if not data:
            self.ended = self.heard = True
        elif self._linger_deadline:
            self._discarded += len(data)
            if self._discarded >= LINGER_BYTES:
                self.ended = True
        elif self._tls is None or (data := self._decrypt(self._tls, data)):
            self.heard = True
            self._decoder.feed(data)
            if self._following is None:
                self._following = following = self._cut()
                if following is None and self._decoder.held > READ_SIZE:
                    self._hold_large()
        elif not (self._tls.unfinished or self.ended or self._failure is not None):
            # Records that hold nothing, such as a KeyUpdate (RFC 8446, 4.6.3), end no silence.
            self.note_silence(monotonic())
            if monotonic() >= self.deadline:
                self.expire()

    def next(self) -> Next:
        """Say what the driver does next; the last word is found here, and the deadlines are set."""
        if self.lost:
            return CLOSE
        if self._linger_deadline:
            return CLOSE if self.ended else LINGER
        waiting = self._following is not None and not self.last_said
        if self._failure is not None and not (waiting or self.last_said):
            logger.info("%s: %s", self.peer.address, describe(self._failure))
            self.refuse(refuse_stream(self._failure, self.peer))
        if self._unsent or self.unwritten or ((self._replies or self._plain) and not self._shaking):
            return self._await_writing()
        self._write_began = 0.0
        if waiting:
            return ANSWER
        if self._share.used and self._decoder.held <= READ_SIZE:
            self._share.release()
        if self._crowded_out and not self.last_said:
            self._crowded_out = False
            self.hold(refuse_frame(self.peer, close=self.leaving), last=self.leaving)
            return self._await_writing()
        if self.last_said or self.ended:
            if self._shaking and not self.ended:
                return READ
            if self._tls is not None and not self._end_said:
                self._end_said = True
                self._unsent = self._tls.end()
                if self._unsent:
                    return self._await_writing()
            if not self.ended:
                return LINGER
            if not self.last_said:
                self._note_end()
            return CLOSE
        if self._decoder.mid_frame or (self._tls is not None and (self._tls.unfinished or self._shaking)):
            self._frame_began = self._frame_began or monotonic()
        else:
            self._frame_began, self._hurried = 0.0, False
        return READ

    def next_request(self) -> tuple[bytes | bytearray, bool] | None:
        """Take the next request, and whether its reply is the connection's last."""
        body = self._following
        if body is None or self.last_said:
            return None
        self._following = following = self._cut()
        return body, self.leaving and following is None and self._failure is None

    def answer_requests(
        self, answer: Callable[[bytes | bytearray, Peer, bool], bytes | _T]
    ) -> tuple[_T, bytes | bytearray, bool] | None:
        """Run whole requests and hold their replies, until there are none, or so much is held that it goes out first.

        The same as `next_request` and `hold` in turn, without their calls for each of a batch. What `answer` returns
        that is no reply yet is returned, with the request and whether that is the last.
        """
        next_frame = self._decoder.next_frame
        hold = self._replies.append
        peer = self.peer
        while (body := self._following) is not None and not self.last_said and self.held <= WRITE_SIZE:
            try:
                self._following = following = next_frame()
            except FrameError as error:
                self._fail(error)
                self._following = following = None
            last = following is None and self.leaving and self._failure is None
            reply = answer(body, peer, last)
            if not isinstance(reply, bytes):
                return reply, body, last
            hold(reply)
            self.held += len(reply)
            if last:
                self.last_said = True
        return None

    def hold(self, reply: bytes | memoryview, *, last: bool = False) -> None:
        """Keep a framed reply, or what is left of one, until it is written; nothing is answered after the last."""
        self._replies.append(reply)
        self.held += len(reply)
        if last:
            self.last_said = True

    def outgoing(self) -> bytes | memoryview:
        """Return the next bytes to write; they stay the next until `sent` says how many of them were written."""
        tls = self._tls
        if self._replies and (tls is None or not self._shaking):
            data = b"".join(self._replies if self._framing is None else reframed(self._replies, self._framing))
            self._replies.clear()
            if len(data) > WRITE_SIZE:
                self._share.used = True
            if tls is None:
                self._unsent = data if not self._unsent else bytes(self._unsent) + data
            else:
                self._plain = memoryview(data if not self._plain else bytes(self._plain) + data)
        if tls is not None:
            while self._plain and not self._unsent:
                self._unsent = tls.write(self._plain[:WRITE_SIZE])
                self._plain = self._plain[WRITE_SIZE:] or _NOTHING  # An empty part would keep the whole reply.
        if not self._plain and not self._replies:
            self.held = 0
        return self._unsent

    def sent(self, count: int) -> None:
        """Note that so many bytes of `outgoing` were written."""
        self.taken += count
        self._unsent = memoryview(self._unsent)[count:] if count < len(self._unsent) else b""

    def linger(self) -> None:
        """Note that the client was told that no more comes."""
        self._linger_deadline = monotonic() + limits.lingering_allowed(self._settings)

    def leave(self, grace_deadline: float) -> None:
        """End as soon as what has arrived is answered; safe in any thread and in a signal handler.

        A client that knows nothing of `close` has until `grace_deadline` for one more request.
        """
        self._grace_deadline = grace_deadline
        self.leaving = True

    def note_age(self, now: float) -> None:
        """End as soon as what has arrived is answered, where it is old; clients that heed nothing fall silent."""
        if now >= self._old_from and self.peer.heeds_close and not self.leaving:
            self.leave(now + limits.grace_allowed(self._settings))

    def note_silence(self, since: float) -> None:
        """Note that nothing has come since then, unless the silence is known to have begun before."""
        if self.heard:
            self.heard, self.spoken = False, True
            self._quiet_since = since

    def hurry(self) -> None:
        """Let a request that comes, or a reply that is taken, take less long, since others wait; safe anywhere."""
        self._hurried = self._settings.reclaim_idle > 0 and (self._frame_began or self._write_began) > 0

    def in_use_for(self, now: float) -> float:
        """How long it has lasted, in seconds, where it may end for others though in use: its client heeds `close`."""
        return now - self._began if self.peer.heeds_close and not self.leaving else 0.0

    def silent_for(self, now: float) -> float:
        """How long nothing has come or is on its way in either direction, in seconds, as far as that is known."""
        busy = self.heard or self.leaving or self._frame_began or self._write_began
        return 0.0 if busy else now - self._quiet_since

    def expire(self) -> None:
        """Do what is due once the deadline is over, and nothing has come that was not received."""
        if self.lingering:
            self.ended = True
        elif self._write_began:
            logger.info("%s: closed, because the client does not read its replies", self.peer.address)
            self.reset = self.lost = True
        elif self.leaving and self._tls is not None and self._tls.untouched:
            self.ended = True
        elif self._frame_began:
            limit = self._reading_allowed
            late = self._tls.give_up(limit) if self._tls is not None and self._shaking else None
            self._failure = late or SlowFrame(limit)
        else:
            if not self.leaving and monotonic() < self._old_from:
                limit = limits.silence_allowed(self._settings, spoken=self.spoken)
                logger.info("%s: closed after %g s of silence", self.peer.address, limit)
            self.last_said = True
            if self.peer.heeds_close:
                self.hold(GOODBYE)

    def refuse(self, reply: bytes) -> None:
        """Say that as the last word, instead of what the client waits for."""
        self._following = None
        self._decoder.clear()
        self.hold(reply, last=True)

    def lose(self, error: OSError) -> None:
        """Note that the connection is lost."""
        logger.debug("%s: connection lost: %s", self.peer.address, error.strerror)
        self.lost = True

    def release(self) -> None:
        """Hold nothing of a request any more; a driver calls it when all has ended."""
        self._share.release()

    @property
    def _reading_allowed(self) -> float:
        return limits.reading_allowed(self._settings, self._decoder.held, hurried=self._hurried)

    @property
    def _shaking(self) -> bool:
        """Whether the TLS handshake is to be made before anything can be said."""
        return self._tls is not None and not (self._tls.established or self._tls.failed)

    def _await_writing(self) -> Next:
        if not self._write_began or self.taken >= PROGRESS:
            self.taken = 0
            self._write_began = monotonic()
        return WRITE

    def _cut(self) -> bytes | bytearray | None:
        try:
            body = self._decoder.next_frame()
        except FrameError as error:
            self._fail(error)
            return None
        if body is not None:
            self._frame_began, self._hurried = 0.0, False
        return body

    def _hold_large(self) -> None:
        """Count what has come of a large request, and throw that away where there is no room for it."""
        if self._share.hold(self._decoder.held - READ_SIZE):
            return
        if self._decoder.skip_frame():
            self._crowded_out = True
        else:
            self._fail(CrowdedOut())

    def _decrypt(self, tls: TlsSession, data: bytes) -> bytes:
        shaking = self._shaking
        plain = b""
        try:
            plain = tls.receive(data)
        except FrameError as error:
            self._fail(error)
        if output := tls.output():
            self._unsent = bytes(self._unsent) + output
        if shaking and tls.established and not tls.failed:
            self._frame_began, self._quiet_since = 0.0, monotonic()
            self.peer.subject = tls.subject
            # The request for whose sake the handshake was made is on the way.
            self._grace_deadline = max(self._grace_deadline, monotonic() + limits.grace_allowed(self._settings))
        if tls.ended:
            self.ended = True
        return plain

    def _fail(self, error: FrameError) -> None:
        """Note what is wrong with the stream, without the frames in its traceback: they would keep all that is here."""
        error.__cause__ = error.__context__ = error.__traceback__ = None
        self._failure = self._failure or error

    def _note_end(self) -> None:
        try:
            if self._tls is not None:
                self._tls.receive_eof()
            self._decoder.feed_eof()
        except FrameError as error:
            logger.info("%s: %s", self.peer.address, error)
