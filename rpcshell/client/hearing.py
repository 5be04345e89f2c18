"""What a client does with what its server says unasked: events are kept for whoever takes them, requests are answered.

The lines that a child prints, and whatever else is no message, go to a handler of their own.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypedDict, Unpack

import msgspec

from rpcshell.client.dialects import Event, Form, ServerRequest, Stray
from rpcshell.client.errors import CallError
from rpcwire import ErrorCode, Fault

if TYPE_CHECKING:
    from rpcshell.client.dialogue import Heard

    class SomeHandlers(TypedDict, total=False):
        """Those of `Handlers` that change."""

        request: RequestHandler | None
        form: FormHandler | None
        log: Callable[[str], None] | None
        asked: AskedHandler | None
        event: Callable[[Event], None] | None
        end: Callable[[Exception], None] | None


MOST_EVENTS: Final = 10_000
"""Events that are kept for nobody yet; the oldest give way."""

MOST_REQUESTS: Final = 100
"""Requests of a server that may wait for their answers; further ones are told so."""

RequestHandler = Callable[[ServerRequest], Any]
"""Returns the result, or NotImplemented for what the dialect answers by itself; a `CallError` refuses the request."""

FormHandler = Callable[[Form], Any]
"""Returns the fields by name, or None to decline, or NotImplemented for what the dialect answers by itself."""

Answer = Callable[[ServerRequest, Any], None]
"""Sends the answer to a request: a result, or a `Fault`."""

AskedHandler = Callable[[ServerRequest, Answer], bool]
"""Takes a request, to answer it some time; False leaves it to others."""


class Handlers(msgspec.Struct, frozen=True):
    """Who is told what a server says unasked; what None has, is left to others or to nobody."""

    request: RequestHandler | None = None
    """Answers the server's requests; None leaves them to the dialect."""
    form: FormHandler | None = None
    """Fills in the forms among them."""
    methods: Mapping[str, RequestHandler] = {}
    """Answers those of some methods, before `request`."""
    log: Callable[[str], None] | None = None
    """Is told each line that is no message."""
    asked: AskedHandler | None = None
    """Takes requests of the server, to answer them some time; called in the thread that reads, so it must not wait.
    What it does not take is left to the others. This one and what follows is for the blocking client."""
    event: Callable[[Event], None] | None = None
    """Is given each event at once, in the thread that reads; none is kept then."""
    end: Callable[[Exception], None] | None = None
    """Is told what ended the connection, where that was not closed here, in the thread that reads."""


NO_HANDLERS: Final = Handlers()


class Asked(NamedTuple):
    """How a request is answered: what finds that out, which may be awaitable, and what makes the outcome of it."""

    find: Callable[[], Any]
    outcome: Callable[[Any], Any]


class AnyHearing:
    """What both clients do with what they hear; `handlers` are who is told."""

    def __init__(self, handlers: Handlers = NO_HANDLERS) -> None:
        self.handlers = handlers
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)

    def handle(self, **handlers: Unpack[SomeHandlers]) -> None:
        """Have others told, by the names in `Handlers`; the rest stays."""
        self.handlers = msgspec.structs.replace(self.handlers, **handlers)

    def renewed(self) -> Self:
        """One that has heard nothing yet, with the same handlers: for another process, or another loop."""
        return type(self)(self.handlers)

    def log(self, line: str) -> None:
        """Take a line that is no message."""
        if self.handlers.log is not None:
            self.handlers.log(line)

    def _asked(self, request: ServerRequest) -> Asked | None:
        """How a request is answered, or None where the dialect does."""
        handlers, form = self.handlers, request.form
        if request.keep_alive:
            return None
        if form is not None and handlers.form is not None:
            return Asked(partial(handlers.form, form), partial(_filled, form))
        if (answer := handlers.methods.get(request.method, handlers.request)) is not None:
            return Asked(partial(answer, request), lambda outcome: outcome)
        return None


class Hearing(AnyHearing):
    """What the blocking client hears, from the thread that reads; requests are answered in another, one by one.

    Attributes:
        over: Whether there is no connection to hear anything on.
        asked_to_end: Whether the server was asked to end the call that was given up last.
    """

    def __init__(self, handlers: Handlers = NO_HANDLERS) -> None:
        super().__init__(handlers)
        self.over = True
        self.asked_to_end = False
        self._caller: Callable[[Callable[[], object]], None] | None = None
        self._changed = threading.Condition()
        self._requests: queue.Queue[tuple[ServerRequest, Asked, Answer]] = queue.Queue(MOST_REQUESTS)
        self._answering: threading.Thread | None = None

    def hear(self, heard: Heard, answer: Answer) -> None:
        """Take what has come."""
        match heard:
            case Event() if self.handlers.event is not None:
                self.handlers.event(heard)
            case Event():
                with self._changed:
                    self._events.append(heard)
                    self._changed.notify()
            case Stray(text):
                self.log(text)
            case ServerRequest():
                self._ask(heard, answer)

    def end(self, failure: Exception) -> None:
        """Take it that the connection has ended, and was not closed here."""
        if self.handlers.end is not None:
            self.handlers.end(failure)

    def wake(self) -> None:
        """Have whoever waits look whether there will be more."""
        with self._changed:
            self._changed.notify_all()

    def next_event(self, timeout: float | None, over: Callable[[], bool]) -> Event | None:
        """Take the next event, or None where none has come within so many seconds or it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or over(), timeout)
            return self._events.popleft() if self._events else None

    def lend_caller(self, give: Callable[[Callable[[], object]], None] | None) -> None:
        """Have `give` give tasks to a thread that waits, for a reply or an event, from now on; None ends that."""
        self._caller = give

    def have_caller_do(self, task: Callable[[], object]) -> bool:
        """Have the thread that waits do something meanwhile; False where none does."""
        if (give := self._caller) is None:
            return False
        give(task)
        return True

    def _ask(self, request: ServerRequest, answer: Answer) -> None:
        if self.handlers.asked is not None and self.handlers.asked(request, answer):
            return
        if (asked := self._asked(request)) is None:
            answer(request, NotImplemented)
            return
        if self._answering is None:
            self._answering = threading.Thread(target=self._answer_all, name="answers", daemon=True)
            self._answering.start()
        try:
            self._requests.put_nowait((request, asked, answer))
        except queue.Full:
            answer(request, busy())

    def _answer_all(self) -> None:
        while True:
            request, asked, answer = self._requests.get()
            try:
                outcome = asked.outcome(asked.find())
            except Exception as error:  # noqa: BLE001 - a handler is the user's code: the server is told what it raised
                outcome = fault_of(error)
            answer(request, outcome)


def _filled(form: Form, fields: Any) -> Any:
    """The outcome of a request whose form was filled in with these fields, or was not."""
    if fields is NotImplemented:
        return NotImplemented
    return form.answer("decline", {}) if fields is None else form.answer("accept", fields)


def busy() -> Fault:
    """The answer to one request too many."""
    return Fault(ErrorCode.BUSY, f"{MOST_REQUESTS} requests wait for their answers already")


def fault_of(error: Exception) -> Fault:
    """The answer to a request whose handler has raised."""
    if isinstance(error, CallError):
        return Fault(error.code, error.message, error.data)
    return Fault(ErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
