"""What servers ask a person: requests with a form, which wait here until somebody is there to answer.

How a form is asked is the prompt's; what else a server asks is answered by its dialect.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.dialects import Form, FormAction, ServerRequest
    from rpcshell.client.hearing import Answer, Hearing

MOST_WAITING: Final = 20
"""Forms that may wait; nobody answers more."""

MANY: Final = 1000
"""Other requests in so many seconds that are worth a line."""

_WINDOW: Final = 10.0


class Question:
    """A form that waits."""

    def __init__(self, request: ServerRequest, form: Form, answer: Answer, hearing: Hearing) -> None:
        self.form = form
        self._request = request
        self._answer = answer
        self._hearing = hearing

    @property
    def moot(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._hearing.over

    def answer(self, action: FormAction, fields: dict[str, Any] | None = None) -> None:
        """Answer it; with the fields where it was accepted."""
        self._answer(self._request, self.form.answer(action, fields or {}))


class Questions:
    """The forms that wait, the oldest first; for several threads.

    `came` is called, in the thread that reads, when there is another one; `note` shows a line.
    """

    def __init__(self, came: Callable[[Hearing], object], note: Callable[[str], object]) -> None:
        self._came = came
        self._note = note
        self._waiting: deque[Question] = deque()
        self._lock = threading.Lock()
        self._refusing = self._told = False
        self._counted = 0
        self._counted_since = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def listen(self, hearing: Hearing) -> None:
        """Take what a server asks from now on."""
        hearing.handle(asked=partial(self._take, hearing))

    def next(self) -> Question | None:
        """Take the oldest one that somebody still waits for, or None."""
        with self._lock:
            while self._waiting:
                question = self._waiting.popleft()
                if not question.moot:
                    return question
        return None

    def give_up(self) -> None:
        """Cancel all that wait, and take none until a line was entered: the person wants to be left alone."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
            self._refusing = True
        for question in waiting:
            if not question.moot:
                question.answer("cancel")

    def line_entered(self) -> None:
        """Take questions again: the person has gone on."""
        with self._lock:
            self._refusing = self._told = False

    def _count(self, method: str) -> None:
        """Say once, until a line is entered, that the server asks the dialect more than any server needs."""
        now = time.monotonic()
        if now - self._counted_since > _WINDOW:
            self._counted_since, self._counted = now, 0
        self._counted += 1
        if self._counted == MANY and not self._told:
            self._told = True
            what = visible(method[:100])
            self._note(f"the server asks without end ({what}, {MANY:,} times by now); its dialect answers")

    def _take(self, hearing: Hearing, request: ServerRequest, answer: Answer) -> bool:
        if request.form is None:
            self._count(request.method)
            return False
        with self._lock:
            took = not self._refusing and len(self._waiting) < MOST_WAITING
            tell = not took and not self._told
            if took:
                self._waiting.append(Question(request, request.form, answer, hearing))
            else:
                self._told = True
        if took:
            self._came(hearing)
        elif tell:
            what = visible(request.method[:100])
            self._note(f"the server asks more than anybody answers ({what}): declined until you have entered a line")
        return took
