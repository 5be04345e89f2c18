"""Finding out what a server speaks that nobody has named, sans-IO: which guess comes next, and what the answers say.

A frame that a server does not understand can deafen it for good, so that each guess has a connection of its own. The
one before is only closed for sending then: who serves one client after the other goes on to the next, and an answer
that comes late is still heard. Who has not understood ends such a connection at once. Who does not is busy, with that
or with somebody else, and a process of it may die of the next guess: none is made until the connection has ended.
Tables of the configuration, of which there may be many, are guessed beside each other.
What is said and how answers are recognised is the dialects' business; bytes are moved by `rpcshell.client.detecting`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal

import msgspec

from rpcshell.client.diagnosis import HTTP_SERVER, not_rpc
from rpcshell.client.dialects.recognition import HTTP, MOST_FIRST_BYTES, Guess, Recogniser, Recognition
from rpcshell.client.dialects.steps import OTHER_FORM

PATIENCE: Final = 0.15
"""Seconds that a guess has to itself, beside the time that bytes take there and back."""

_GREETING_PATIENCE: Final = 1.0
"""Seconds that a server has which is known to greet."""

LIMIT: Final = 2.4
"""Seconds for all guesses together."""

_WORKING_LIMIT: Final = 10.0
"""The same for a server that is known to be busy with what it was told: its answer settles what it speaks."""

_HEEDLESS: Final = 0.5
"""Seconds without an end after which a server, which has taken a connection, is one that heeds no end of a client."""

_MOST_GUESSES: Final = 48
_MOST_BESIDE: Final = 8
"""Guesses that are made at a time."""

_REST: Final = 0.05
"""Seconds that the rest of an answer may take that says nothing so far."""

# A ClientHello (RFC 5246, section 7.4.1.2) without extensions, of which TLS 1.2 is the latest version. Servers of any
# version answer it with a record of TLS, be it an alert.
_CLIENT_HELLO: Final = bytes.fromhex("160301002f0100002b0303") + bytes(32) + bytes.fromhex("000004c02f009c0100")
LISTEN: Final = Guess(b"", "nothing, to hear who speaks first", rank=-1)
"""The first guess: who greets is known by that, and has nothing left over to answer to whoever connects next."""

TLS_GREETING: Final = Guess(_CLIENT_HELLO, "a greeting of TLS", rank=90)
"""The last guess where nothing is encrypted yet: what is silent or leaves at everything else may be a server of TLS."""

Outcome = Literal["recognised", "not-rpc", "echo", "unclear", "closes", "gone", "silent", "answered"]
"""What is known of a server in the end: what it speaks; that it is of another kind, sends back what it is sent, says
what nobody understands, ends each connection without a word, takes none any more, or says nothing; or that it has
answered what was asked beside."""


class Attempt(msgspec.Struct):
    """One guess, when it was made, in seconds from the beginning, and the first bytes that came of it."""

    guess: Guess
    at: float
    first: bytes = b""
    end: Literal["", "closed", "refused", "failed"] = ""
    """Whether the server has ended the connection by itself, or there was none: nobody listened any more, or it could
    not be made."""


class Detection:
    """One server's.

    A driver makes the guess that `next_guess` has, on a connection of its own, and asks for another one at the time
    that is `due`, or earlier after something has happened; it says what came on which connection, counted from 0, and
    stops once there is an `outcome`::

        while detection.outcome is None:
            while (guess := detection.next_guess(now())) is not None:
                connections.append(connect_and_send(guess))
            if detection.left:
                close_for_sending(connections)
            wait_until(detection.due)

    Times are in seconds, on the driver's clock, by which it `began`. All guesses together have the `limit`, each one
    has `patience`. The `guesses` are said besides those of the recognisers, but none of those in `without`. To a server
    that `greets` nothing is said, and it has longer for that. It `takes` the connection of an attempt where the system
    tells that it has been accepted. Whether it `is_asked` something beside, with which it is busy, is told likewise.

    Attributes:
        left: Whether the last connections are to be closed for sending.
        over_http: Whether it is a server of HTTP, for all that is known.
        beside: Whether the last guess is made beside the one before, which waits for its answer.
        recognition: What is spoken, as far as is known.
        due: When to ask for the next guess.
        end: When all is over.
    """

    def __init__(
        self,
        recognisers: Iterable[Recogniser],
        guesses: Sequence[Guess] = (),
        *,
        over_http: bool = False,
        without: Collection[Guess] = (),
        began: float = 0.0,
        limit: float = LIMIT,
        patience: float = PATIENCE,
        greets: bool = False,
        takes: Callable[[int], bool] = lambda _number: False,
        is_asked: Callable[[], bool] = lambda: False,
    ) -> None:
        self._recognisers = tuple(recognisers)
        of_dialects = (guess for recogniser in self._recognisers for guess in recogniser.guesses)
        said = {(guess.said, guess.refines): guess for guess in (LISTEN, *guesses, *of_dialects)}
        self._guesses = sorted((one for one in said.values() if one not in without), key=lambda guess: guess.rank)
        self.over_http = over_http
        self._stage = HTTP if over_http else ""
        self._open = [guess for guess in self._guesses if guess.refines == self._stage]
        if greets:
            self._open, patience = [LISTEN], _GREETING_PATIENCE
        self._began = began
        self.end = began + limit
        self._patience = patience
        self.attempts: list[Attempt] = []
        self.beside = False
        self._round = 0
        self._takes, self._is_asked = takes, is_asked
        self.left = self._heedless = False
        self._left_at = 0.0
        self._over: set[int] = set()  # Those of earlier rounds too, whose ends are not the server's own.
        self.recognition: Recognition | None = Recognition(HTTP, certain=False) if over_http else None
        self.outcome: Outcome | None = None
        self.due = began

    def next_guess(self, now: float) -> Guess | None:
        """The guess that is to be made now, where one is due."""
        if self.outcome is not None or now < min(self.due, self.end):
            return None
        if self._is_held(now) or self._is_waited_for(now):
            return None
        if not self._open or now >= self.end or len(self.attempts) >= _MOST_GUESSES:
            if now < self.end and self._may_still_tell():
                self.due = self.end
            else:
                self.outcome = self._judged()
            return None
        guess = self._open.pop(0)
        self.beside = bool(self.attempts) and self._is_beside(self.attempts[-1].guess, guess)
        if not self.beside:
            self._round, self.left = len(self.attempts), False
        self.attempts.append(Attempt(guess, now - self._began))
        self.sent(now)
        return guess

    def sent(self, now: float) -> None:
        """The last guess is on its way: its time begins, unless another one is to be made beside it."""
        more = bool(self._open) and self._is_beside(self.attempts[-1].guess, self._open[0])
        self.due = now if more else now + self._patience

    def _is_held(self, now: float) -> bool:
        """Whether the server has to end the last connections first, which are left from now on."""
        if not (self._open and self.attempts) or now >= self.end or self._heedless or self._stage:
            return False
        if not self._unanswered or self._is_beside(self.attempts[-1].guess, self._open[0]):
            return False
        if not self.left:
            self.left, self._left_at = True, now
        elif now >= self._left_at + _HEEDLESS and self._is_heedless():
            self._heedless = True
            return False
        self.due = min(now + PATIENCE, self.end)
        return True

    @property
    def _unanswered(self) -> list[int]:
        """The last attempts, as far as nothing has come of them yet."""
        numbers = range(self._round, len(self.attempts))
        return [number for number in numbers if not self.attempts[number].first and number not in self._over]

    def _is_waited_for(self, now: float) -> bool:
        """Whether all is over but for a server that is busy with what it was told, which has longer then."""
        if now < self.end or self.end >= self._began + _WORKING_LIMIT or not self.is_working:
            return False
        self.due = self.end = self._began + _WORKING_LIMIT
        return True

    def _is_heedless(self) -> bool:
        """Whether a server holds a connection on which nothing was said to it that it could be busy with."""
        return any(self.attempts[number].guess is LISTEN and self._takes(number) for number in self._unanswered)

    @property
    def is_working(self) -> bool:
        """Whether the server is busy with what it was told or asked, for all that is known."""
        if self._heedless:
            return False
        return self._is_asked() or (self.left and any(self.attempts[one].guess.said for one in self._unanswered))

    def _is_beside(self, former: Guess, guess: Guess) -> bool:
        """Whether a guess is made beside the one before, which has been made."""
        alike = former.beside and guess.beside and former.rank == guess.rank
        return alike and len(self.attempts) - self._round < _MOST_BESIDE

    def received(self, number: int, data: bytes, now: float) -> bool:
        """Take what came on a connection; whether more of it matters."""
        attempt = self.attempts[number]
        attempt.first += data[: MOST_FIRST_BYTES - len(attempt.first)]
        if self.outcome is None:
            self._hear(number, now)
        return len(attempt.first) < MOST_FIRST_BYTES

    def ended(self, number: int, now: float, how: Literal["closed", "refused", "failed"] = "closed") -> None:
        """The server has ended a connection, or there was none to be made.

        One that was closed for sending is expected to end.
        """
        self._over.add(number)
        if number >= self._round:
            if not self.left:
                self.attempts[number].end = how
            every = not self._unanswered if self.left else all(one.end for one in self.attempts[self._round :])
            if every:
                self.due = min(self.due, now)

    def _hear(self, number: int, now: float) -> None:
        found = self._recognised(self.attempts[number])
        if found is None:
            if number >= self._round and not self._unanswered:
                self.due = min(self.due, now + _REST)
        elif found.certain:
            self.recognition, self.outcome = found, "recognised"
        elif self._stage == HTTP:
            if found.spoken != HTTP:
                # The rest of the response may say that it is something more.
                self.recognition, self._open = found, []
                self.due = min(self.due, now + _REST)
        elif self.recognition is None:
            # What is only the common part of several dialects is told by what they would ask next.
            self.recognition, self._stage = found, found.spoken
            self.over_http = found.spoken == HTTP
            self._open = [guess for guess in self._guesses if guess.refines == found.spoken]
            self.due = now

    def _recognised(self, attempt: Attempt) -> Recognition | None:
        if attempt.first == attempt.guess.said[: len(attempt.first)]:
            # It sends back what it is sent, and says nothing of its own.
            return None
        found = []
        for recogniser in self._recognisers:
            # What a server says may have any form.
            with contextlib.suppress(*OTHER_FORM):
                if (one := recogniser.recognises(attempt.first, attempt.guess)) is not None:
                    found.append(one)
        if found:
            return next((one for one in found if one.certain), found[0])
        if (other := not_rpc(attempt.first)) == HTTP_SERVER:
            return Recognition(HTTP, certain=False)
        if other is not None:
            self.outcome = "not-rpc"
        return None

    def _may_still_tell(self) -> bool:
        """Whether an answer that says what is spoken, or more of it, may only be late."""
        waiting = (one for number, one in enumerate(self.attempts) if not one.first and number not in self._over)
        return any(one.guess is not LISTEN and one.guess.refines == self._stage for one in waiting)

    def _judged(self) -> Outcome:
        if self.recognition is not None:
            return "not-rpc" if self.recognition.spoken == HTTP else "recognised"
        answered = [attempt for attempt in self.attempts if attempt.first]
        if answered:
            echo = all(attempt.first == attempt.guess.said[: len(attempt.first)] for attempt in answered)
            return "echo" if echo else "unclear"
        if self.attempts and self.attempts[-1].end == "refused":
            return "gone"
        asked = [attempt for attempt in self.attempts if attempt.guess.said]
        return "closes" if asked and all(attempt.end for attempt in asked) else "silent"
