"""Lists of choices that may take long to get: a key press waits for one only as long as nobody notices."""

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from rpcshell.client.threads import thread_for

_Question = TypeVar("_Question")
_Choice = TypeVar("_Choice")

PATIENCE: Final = 0.03
"""Seconds; a disk answers in far less."""


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
