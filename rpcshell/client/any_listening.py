"""What connections of listening dialects have in common, whoever reads them: moving bytes, and what failures mean."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from threading import current_thread, main_thread
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.diagnosis import seen
from rpcshell.client.dialects import Ask, HandshakeFailed, Hear, ServerRequest
from rpcshell.client.dialling import NAP, acknowledge, seconds_asleep
from rpcshell.client.dialogue import MOST_UNSENT, Dialogue, Heard
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ShellError, TlsFailed
from rpcshell.client.exchange import CLOSED_HERE, Dropped
from rpcshell.client.target import ChildTarget, Target, UnixTarget
from rpcshell.client.transport import Transport, input_ended, why_ended
from rpcwire import EncodeError, ErrorCode, Fault

if TYPE_CHECKING:
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.trace import Ends

BYE: Final = 1.0
"""Seconds that a goodbye may take."""

MOST_EARLY: Final = 10_000
"""Events that are kept while the greeting lasts; a server that says more then is not heard."""

_PAUSE: Final = 1.0
"""Seconds that a server may pause inside a message until it is taken as one that may not go on with it."""

_OTHER_DIALECT: Final = "is this the dialect that it speaks?"

_READ: Final = 256 * 1024
_WRITE: Final = 64 * 1024
_READS: Final = 4
"""Reads after which others have their turn, where a server does not pause."""


class AnyListeningConnection:
    """A transport that is read all the time."""

    def __init__(self, target: Target, dialect: FramedDialect, transport: Transport) -> None:
        self.dialect = dialect
        self._dialogue = Dialogue(target, dialect, self._hear)
        self._pump = Pump(transport, self._dialogue)
        self.closed = False
        """Whether it was closed here."""

    def _hear(self, heard: Heard) -> None:
        raise NotImplementedError

    @property
    def failure(self) -> Exception | None:
        """What ended it, or None."""
        return self._dialogue.failure

    @property
    def reusable(self) -> bool:
        """Whether it can take another request, for all that has been read."""
        return self.failure is None and not self.closed

    def usable(self) -> bool:
        """Whether it can take another request: not after the machine has slept, nor where the server broke off."""
        return self.reusable and self._pump.fresh and not (self._dialogue.broken_off and self._pump.pauses)

    def _came(self) -> str:
        """What has come of a message on which the server does not go on, in words; "" where nothing has."""
        return self._dialogue.unfinished if self._pump.pauses else ""

    def check_end(self) -> None:
        """Raise what ended it, for whoever waits for events, unless it was closed here.

        Raises:
            ConnectionLost: It ended.
            ProtocolError: Something came that breaks the dialect.
        """
        failure = self.failure
        if failure is None or self.closed:
            return
        if isinstance(failure, Dropped):
            raise ConnectionLost(self._dialogue.target, failure.reason, may_have_run=False, hint=failure.hint)
        raise failure

    def _end(self) -> None:
        """Let nothing more be said here, as it is closed."""
        self._dialogue.end(self.failure or Dropped(CLOSED_HERE, not_run=False))

    def _answer_bytes(self, request: ServerRequest, outcome: Any) -> bytes:
        """The answer to a server's request; an error where the outcome cannot be sent."""
        dialect = self.dialect
        if outcome is NotImplemented:
            outcome = dialect.default_answer(request)
        try:
            return dialect.answer(request, outcome)
        except EncodeError as error:
            return dialect.answer(request, Fault(ErrorCode.INTERNAL_ERROR, f"the result cannot be sent: {error}"))

    @contextlib.contextmanager
    def _within(self, step: Ask | Hear, deadline: float | None, now: float) -> Iterator[float | None]:
        """Gives the moment until which a step may take, and turns what goes wrong in it into a `ShellError`."""
        limit = deadline
        if step.timeout is not None:
            limit = now + step.timeout if deadline is None else min(deadline, now + step.timeout)
        try:
            yield limit
        except TimeoutError as error:
            if limit is deadline:
                raise
            method = step.method if isinstance(step, Ask) else ""
            raise CallTimeout(step.timeout or 0.0, method=method, hint=str(error) or None) from None
        except Dropped as dropped:
            may_have_run = not dropped.not_run
            lost = ConnectionLost(self._dialogue.target, dropped.reason, may_have_run=may_have_run, hint=dropped.hint)
            raise lost from dropped


class Pump:
    """Moves bytes between a transport and a dialogue, as far as that goes without waiting.

    Attributes:
        on_data: Is told what each read brought, before it is understood.
        on_sent: Is told once that all there was to send is sent.
    """

    def __init__(self, transport: Transport, dialogue: Dialogue) -> None:
        self.transport = transport
        self.dialogue = dialogue
        self.on_data: Callable[[bytes], None] | None = None
        self.on_sent: Callable[[], None] | None = None
        self._asleep = seconds_asleep()
        self._read_at = time.monotonic()

    @property
    def fresh(self) -> bool:
        """Whether the machine has not slept since it was made; what leads off the machine may be gone after that."""
        return isinstance(self.dialogue.target, ChildTarget | UnixTarget) or seconds_asleep() - self._asleep <= NAP

    @property
    def pauses(self) -> bool:
        """Whether the server has said nothing for longer than it may inside a message."""
        return time.monotonic() - self._read_at > _PAUSE

    @property
    def wants_to_read(self) -> bool:
        """Whether more may be read."""
        return self.dialogue.failure is None and len(self.dialogue.unsent) < MOST_UNSENT

    @property
    def wants_to_write(self) -> bool:
        """Whether there is something to send."""
        return self.dialogue.failure is None and bool(self.dialogue.unsent)

    def read(self) -> None:
        """Read what is there."""
        dialogue = self.dialogue
        for _ in range(_READS):
            if not self.wants_to_read:
                return
            try:
                data = self.transport.recv(_READ)
            except BlockingIOError:
                break
            except TlsFailed as error:
                dialogue.end(error)
                return
            except OSError as error:
                dialogue.ended(error, why_ended(self.transport))
                return
            if not data:
                dialogue.ended(why=why_ended(self.transport))
                return
            self._read_at = time.monotonic()
            if self.on_data is not None:
                self.on_data(data)
            dialogue.receive(data)
            if dialogue.has_arrived:
                # Who waits for it should not wait for what a server that never pauses says next.
                break
        stream = self.transport
        if dialogue.dialect.mid_frame and isinstance(stream, socket.socket) and stream.family != socket.AF_UNIX:
            acknowledge(stream)

    @property
    def interruptible(self) -> bool:
        """Whether a signal's handler, which may raise, can run between sending something and knowing it."""
        return not isinstance(self.transport.send, BuiltinMethodType) and current_thread() is main_thread()

    def write(self) -> None:
        """Send what there is room for."""
        dialogue = self.dialogue
        while self.wants_to_write:
            # A copy, since what was refused for now has to be given to TLS again as it was.
            data = memoryview(bytes(dialogue.unsent[:_WRITE]))
            counts: list[int] = []
            try:
                # All in C, so that a signal's handler runs only once the count is known, and nothing is sent twice.
                counts.extend(map(self.transport.send, (data,)))
            except BlockingIOError:
                return
            except OSError:
                # Why comes to whoever reads next, for which there must not be too much unsent.
                dialogue.unsent.clear()
                input_ended(self.transport, unsent=True)
                return
            finally:
                dialogue.sent(sum(counts))
        if self.on_sent is not None and not dialogue.unsent:
            told, self.on_sent = self.on_sent, None
            told()

    def hand_out(self) -> None:
        """Give everybody what has come for them, in the order in which it came."""
        for give, what in self.dialogue.arrived():
            give(what)

    def ends(self) -> Ends | None:
        """The addresses of both ends, or None where there are none."""
        if not isinstance(self.transport, socket.socket):
            return None
        try:
            return self.transport.getsockname(), self.transport.getpeername()
        except OSError:
            return None


def handshake_error(dialogue: Dialogue, error: Exception, timeout: float) -> ShellError:
    """What a greeting that failed means for whoever wants a connection."""
    target, said = dialogue.target, dialogue.puzzling
    waited = error.__context__ if isinstance(error, HandshakeFailed) else error
    if isinstance(waited, TimeoutError | CallTimeout) and (said or waited is error):
        seconds = waited.seconds if isinstance(waited, CallTimeout) else timeout
        instead = f", but said {seen(said)}" if said else ""
        return ConnectionFailed(target, f"it did not greet within {seconds:g} s{instead}", hint=_OTHER_DIALECT)
    match error:
        case HandshakeFailed() | ConnectionLost():
            return ConnectionFailed(target, error.reason, hint=error.hint)
        case ShellError():
            return error
    return ConnectionFailed(target, str(error))
