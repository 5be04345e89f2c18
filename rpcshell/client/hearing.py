"""What a client does with what its server says unasked: events are kept for whoever takes them, requests are answered.

The lines that a child prints, and whatever else is no message, go to a handler of their own.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

from rpcshell.client.dialects import Event, ServerRequest, Stray
from rpcshell.client.errors import CallError
from rpcwire import ErrorCode, Fault

if TYPE_CHECKING:
    from rpcshell.client.dialogue import Heard

__all__ = ["MOST_REQUESTS", "Answer", "AnyHearing", "AskedHandler", "Hearing", "RequestHandler", "busy", "fault_of"]

MOST_EVENTS: Final = 10_000
"""Events that are kept for nobody yet; the oldest give way."""

MOST_REQUESTS: Final = 100
"""Requests of a server that may wait for their answers; further ones are told so."""

RequestHandler = Callable[[ServerRequest], Any]
"""Returns the result, or NotImplemented for what the dialect answers by itself; a `CallError` refuses the request."""

Answer = Callable[[ServerRequest, Any], None]
"""Sends the answer to a request: a result, or a `Fault`."""

AskedHandler = Callable[[ServerRequest, Answer], bool]
"""Takes a request, to answer it some time; False leaves it to others."""


class AnyHearing:
    """What both clients do with what they hear.

    Attributes:
        on_request: Answers the server's requests; None leaves them to the dialect.
        on_log: Is told each line that is no message.
        lost: How many events have given way to newer ones.
    """

    def __init__(self) -> None:
        self.on_request: RequestHandler | None = None
        self.on_log: Callable[[str], None] | None = None
        self.lost = 0
        self._events: deque[Event] = deque()

    def renewed(self) -> Self:
        """One that has heard nothing yet, with the same handlers: for another process, or another loop."""
        other = type(self)()
        other.on_request, other.on_log = self.on_request, self.on_log
        return other

    def log(self, line: str) -> None:
        """Take a line that is no message."""
        if self.on_log is not None:
            self.on_log(line)

    def _keep(self, event: Event) -> None:
        if len(self._events) == MOST_EVENTS:
            self._events.popleft()
            self.lost += 1
        self._events.append(event)


class Hearing(AnyHearing):
    """What the blocking client hears, from the thread that reads; requests are answered in another, one by one.

    Attributes:
        on_asked: Takes requests of the server, to answer them some time; called in the thread that reads, so it must
            not wait. What it does not take, and with None all, is left to `on_request`.
        on_event: Is given each event at once, in the thread that reads; none is kept then.
        on_end: Is told what ended the connection, where that was not closed here, in the thread that reads.
        caller: Has the thread of a call that waits, and takes parts, do something meanwhile; None where there is none.
        asked_to_end: Whether the server was asked to end the call that was given up last.
        over: Whether there is no connection to hear anything on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_asked: AskedHandler | None = None
        self.on_event: Callable[[Event], None] | None = None
        self.on_end: Callable[[Exception], None] | None = None
        self.caller: Callable[[Callable[[], object]], None] | None = None
        self.asked_to_end = False
        self.over = True
        self._changed = threading.Condition()
        self._requests: queue.Queue[tuple[ServerRequest, Answer]] = queue.Queue(MOST_REQUESTS)
        self._answering: threading.Thread | None = None

    def renewed(self) -> Self:
        """One that has heard nothing yet, with the same handlers."""
        other = super().renewed()
        other.on_asked, other.on_event, other.on_end = self.on_asked, self.on_event, self.on_end
        return other

    def hear(self, heard: Heard, answer: Answer) -> None:
        """Take what has come."""
        match heard:
            case Event() if self.on_event is not None:
                self.on_event(heard)
            case Event():
                with self._changed:
                    self._keep(heard)
                    self._changed.notify()
            case Stray(text):
                self.log(text)
            case ServerRequest():
                self._ask(heard, answer)

    def end(self, failure: Exception) -> None:
        """Take it that the connection has ended, and was not closed here."""
        if self.on_end is not None:
            self.on_end(failure)

    def wake(self) -> None:
        """Have whoever waits look whether there will be more."""
        with self._changed:
            self._changed.notify_all()

    def next_event(self, timeout: float | None, over: Callable[[], bool]) -> Event | None:
        """Take the next event, or None where none has come within so many seconds or it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or over(), timeout)
            return self._events.popleft() if self._events else None

    def _ask(self, request: ServerRequest, answer: Answer) -> None:
        if self.on_asked is not None and self.on_asked(request, answer):
            return
        if self.on_request is None:
            answer(request, NotImplemented)
            return
        if self._answering is None:
            self._answering = threading.Thread(target=self._answer_all, name="answers", daemon=True)
            self._answering.start()
        try:
            self._requests.put_nowait((request, answer))
        except queue.Full:
            answer(request, busy())

    def _answer_all(self) -> None:
        while True:
            request, answer = self._requests.get()
            handler = self.on_request
            try:
                outcome = NotImplemented if handler is None else handler(request)
            except Exception as error:  # noqa: BLE001 - a handler is the user's code: the server is told what it raised
                outcome = fault_of(error)
            answer(request, outcome)


def busy() -> Fault:
    """The answer to one request too many."""
    return Fault(ErrorCode.BUSY, f"{MOST_REQUESTS} requests wait for their answers already")


def fault_of(error: Exception) -> Fault:
    """The answer to a request whose handler has raised."""
    if isinstance(error, CallError):
        return Fault(error.code, error.message, error.data)
    return Fault(ErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
