"""How a server is told whose messages a table describes, where nobody has named it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rpcshell.client.dialects import Description, HandshakeFailed
from rpcshell.client.dialects.message_shapes import NamesQuestion
from rpcshell.client.dialects.recognition import MOST_FIRST_BYTES, Guess, Recognition
from rpcwire import EncodeError, FrameError, ParseError, RemoteError, Reply

if TYPE_CHECKING:
    from rpcshell.client.dialects.envelope import Envelope, Enveloped

_RANK = 5
"""Whoever keeps a table has such a server."""


class EnvelopeSigns:
    """The recogniser of a table: it asks for the names of the methods, or says hello where that comes first.

    A table that has neither question, or whose server says something first, is not found without its name.
    """

    def __init__(self, name: str, envelope: Envelope) -> None:
        self._name = name
        self._envelope = envelope
        first = self._question()
        question = f"what {name} of the configuration is asked"
        self.guesses = () if first is None else (Guess(first, question, _RANK, beside=True),)

    def recognises(self, first: bytes, guess: Guess) -> Recognition | None:
        """A good answer to the question: names of methods, or what the table says that a good reply has."""
        # Tables that ask the same are told apart by what they make of the answer.
        if all(guess.said != own.said for own in self.guesses):
            return None
        with suppress(FrameError, ParseError, RemoteError, HandshakeFailed):
            return Recognition(self._name) if self._answered(first) else None
        return None

    def _question(self) -> bytes | None:
        envelope, dialect = self._envelope, self._dialect()
        names = envelope.names
        if envelope.greets:
            return None
        with suppress(EncodeError):
            if envelope.hello is not None:
                return dialect.encode(envelope.hello) if envelope.hello_reply and envelope.reply.ok else None
            if isinstance(names, NamesQuestion):
                return dialect.encode_call(names.method, names.params, meta=False, plain=False, number=1)
        return None

    def _answered(self, first: bytes) -> bool:
        dialect = self._dialect()
        dialect.receive(first)
        greeted = self._envelope.hello is not None
        steps = dialect.hello() if greeted else dialect.describe()
        for _ in range(1 + greeted):
            next(steps)
        while (said := dialect.next_event()) is not None:
            if not greeted and not isinstance(said, Reply):
                continue
            try:
                steps.send(said)
            except StopIteration as end:
                return greeted or self._has_names(said, end.value)
        return False

    def _has_names(self, said: object, told: Description) -> bool:
        # The keys of any object would do for names where no place is said.
        anywhere = isinstance(self._envelope.names, NamesQuestion) and not self._envelope.names.path
        if not isinstance(said, Reply) or (anywhere and isinstance(said.result, dict)):
            return False
        return told.missing is None and bool(told.document["methods"])

    def _dialect(self) -> Enveloped:
        return self._envelope(MOST_FIRST_BYTES)
