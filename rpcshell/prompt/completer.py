"""Suggestions as prompt_toolkit completes with them, and lists of choices that may take long to get.

What to suggest is `suggest`'s to say.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from rpcshell.client.threads import thread_for
from rpcshell.prompt.context import LONGEST_LIVE, LineContext
from rpcshell.view.escape import visible

_Question = TypeVar("_Question")
_Choice = TypeVar("_Choice")

PATIENCE: Final = 0.03
"""Seconds; a disk answers in far less."""


class LineCompleter(Completer):
    """Completes a line from what is known at this moment.

    `slow` has what a disk or a server has to be asked for, by its field of `Surroundings`. A `LateListing` there has no
    key press wait for it: a network drive may take a minute.
    """

    def __init__(self, context: LineContext, **slow: Any) -> None:
        self._context = context
        self._slow = slow

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could stand at the cursor."""
        if len(document.text) > LONGEST_LIVE:
            return
        from rpcshell.prompt.reading import suggestions

        cursor = document.cursor_position
        for found in suggestions(self._context, document.text, cursor, **self._slow):
            # What is right of the cursor stays, so the part of it that is there already is not put in again.
            rest = document.text[cursor : found.end]
            text = found.text.removesuffix(rest) if rest else found.text
            yield Completion(
                text,
                start_position=found.start - cursor,
                display=visible(found.display),
                display_meta=visible(found.meta),
                style=f"class:{found.kind}",
            )


class LateListing(Generic[_Question, _Choice]):
    """Gets the choices for a question in a thread, and waits for them as many seconds as there is patience.

    `on_late` is called in that thread when they came too late; asking again gives them.
    """

    def __init__(
        self,
        listing: Callable[[_Question], Iterable[_Choice]],
        on_late: Callable[[], object],
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._on_late = on_late
        self._listing = listing
        self._patience = patience
        self._lock = threading.Lock()
        self._wanted: _Question | None = None
        self._busy = False
        self._late = False
        self._ready: tuple[_Question, Sequence[_Choice]] | None = None

    def __call__(self, question: _Question) -> Sequence[_Choice]:
        """The choices; none if they take too long."""
        first = threading.Event()
        with self._lock:
            if (choices := self._take(question)) is not None:
                return choices
            self._wanted = question
            busy, self._busy = self._busy, True
        if not busy:
            if thread_for(partial(self._list, question, first), "choices") is None:
                self._list(question, first)
            first.wait(self._patience)
        # What is slow already gets nothing more to do at once: the same thread comes to what is wanted by then.
        with self._lock:
            choices = self._take(question)
            self._late = choices is None
        return () if choices is None else choices

    def _take(self, question: _Question) -> Sequence[_Choice] | None:
        if self._ready is None or self._ready[0] != question:
            return None
        choices = self._ready[1]
        self._ready = None
        return choices

    def _list(self, question: _Question, first: threading.Event) -> None:
        late = False
        asked: _Question | None = question
        while asked is not None:
            choices = tuple(self._listing(asked))
            with self._lock:
                self._ready = (asked, choices)
                asked = None if self._wanted == asked else self._wanted
                self._busy = asked is not None
                late = self._late
            first.set()
        if late:
            self._on_late()
