"""What the server of a connection has said unasked, kept in memory within bounds: its events, and lines that are no
messages.

It is written by the thread that reads the connection, and read by commands and the prompt. Who answers what the server
asks is in `rpcshell.shell.questions`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import msgspec

from rpcshell.client.target import ChildTarget
from rpcshell.shell.journal import memory_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.client.client import Client
    from rpcshell.client.dialects import Event, ServerRequest
    from rpcshell.client.hearing import Answer
    from rpcshell.client.target import Target

_T = TypeVar("_T")

MOST_EVENTS: Final = 1000
"""Events that are kept; the oldest give way."""

_MOST_LINES: Final = 1000
_MOST_NAMES: Final = 1000
_LONGEST_NAME: Final = 1000
_LONGEST_LINE: Final = 16 * 1024


class HeardEvent(msgspec.Struct, frozen=True):
    """An event: its number on its connection, from 1, when it came, in seconds since the epoch, and what it said."""

    number: int
    time: float
    name: str
    params: Any = None
    has_params: bool = True
    """Whether they are kept; not where they are too large or too deep."""

    @property
    def data(self) -> dict[str, Any]:
        """It as a result: what it is for `$_`, and for programs."""
        return {"time": iso_time(self.time), "name": self.name, "params": self.params}


class EventLog:
    """The latest events, oldest first; for several threads.

    There are `most` of them, or fewer where they would take more than about `memory` bytes together. The thread that
    reads calls the listeners with each one; `count` have come by now.
    """

    def __init__(self, *, most: int = MOST_EVENTS, memory: int = 16 << 20) -> None:
        self.count = 0
        self.listeners: list[Callable[[HeardEvent], object]] = []
        self._events: deque[tuple[HeardEvent, int]] = deque()
        self._most = most
        self._memory = memory
        self._used = 0
        self._names: Counter[str] = Counter()
        self._mark = 0
        self._taken: set[int] = set()
        self._changed = threading.Condition()
        self._wanted: Callable[[HeardEvent], bool] | None = None
        self._found: HeardEvent | None = None

    def add(self, event: Event) -> None:
        """Take one."""
        size = memory_of((event.name, event.params), self._memory // 4)
        kept = size is not None
        name = event.name[:_LONGEST_NAME]
        with self._changed:
            self.count += 1
            heard = HeardEvent(self.count, time.time(), name, event.params if kept else None, kept)
            self._events.append((heard, size or len(name)))
            self._used += size or len(name)
            while len(self._events) > self._most or self._used > self._memory:
                former, freed = self._events.popleft()
                self._used -= freed
                self._taken.discard(former.number)
            if name in self._names or len(self._names) < _MOST_NAMES:
                self._names[name] += 1
            # What is not kept can be waited for all the same.
            whole = heard if kept else msgspec.structs.replace(heard, params=event.params, has_params=True)
            if self._wanted is not None and self._found is None and self._wanted(whole):
                self._found = whole
                self._taken.add(heard.number)
                self._changed.notify_all()
        for listener in tuple(self.listeners):
            listener(heard)

    def recent(self) -> list[HeardEvent]:
        """Those that are kept, oldest first."""
        with self._changed:
            return [event for event, _ in self._events]

    def names(self) -> dict[str, int]:
        """The names that were seen, with how often, the most frequent first."""
        with self._changed:
            return dict(self._names.most_common())

    def mark(self) -> None:
        """Have what comes from now on count for whoever waits, even if it comes before they do."""
        with self._changed:
            self._mark = self.count
            self._taken.clear()

    def wait(
        self, wanted: Callable[[HeardEvent], bool], timeout: float | None, over: Callable[[], bool]
    ) -> HeardEvent | None:
        """Take the first event that is wanted, of those since the mark which nobody has taken yet, or of what comes.

        None where none has come within so many seconds, or it is over; `wake` has that looked at.
        """
        with self._changed:
            for event, _ in self._events:
                if event.number > self._mark and event.number not in self._taken and wanted(event):
                    self._taken.add(event.number)
                    return event
            self._wanted, self._found = wanted, None
            try:
                self._changed.wait_for(lambda: self._found is not None or over(), timeout)
                return self._found
            finally:
                self._wanted = None

    def wake(self) -> None:
        """Have whoever waits look whether it is over."""
        with self._changed:
            self._changed.notify_all()


class LoggedLine(msgspec.Struct, frozen=True):
    """A line that is no message: when it came, in seconds since the epoch, who has said it, and what."""

    time: float
    who: str
    text: str

    @property
    def data(self) -> dict[str, Any]:
        """It for programs."""
        return {"time": iso_time(self.time), "who": self.who, "message": self.text}


class StrayLog:
    """The latest lines that somebody said and that were no messages, oldest first; for several threads.

    The thread that reads calls the listeners with each one.
    """

    def __init__(self, who: str) -> None:
        self.listeners: list[Callable[[LoggedLine], object]] = []
        self.who = who
        self._lines: deque[LoggedLine] = deque(maxlen=_MOST_LINES)

    def add(self, text: str) -> None:
        """Take what was said, which may have several lines."""
        for line in text[:_LONGEST_LINE].splitlines():
            logged = LoggedLine(time.time(), self.who, line)
            self._lines.append(logged)
            for listener in tuple(self.listeners):
                listener(logged)

    def recent(self) -> Sequence[LoggedLine]:
        """Those that are kept, oldest first."""
        return tuple(self._lines)


class Unasked:
    """What is heard from one server, which the user calls by a name."""

    def __init__(self, client: Client, name: str) -> None:
        self.hearing = client.hearing()
        self.events = EventLog()
        self.strays = StrayLog(_who(client.target, name))
        self.hearing.handle(event=self.events.add, log=self.strays.add)

    @property
    def connected(self) -> bool:
        """Whether there is a connection that it can be heard on."""
        return not self.hearing.over

    def wait(self, wanted: Callable[[HeardEvent], bool], timeout: float | None) -> HeardEvent | None:
        """Wait for an event as the log of events does; what somebody is asked meanwhile is asked by this thread."""
        tasks: deque[Callable[[], object]] = deque()

        def give(task: Callable[[], object]) -> None:
            tasks.append(task)
            self.events.wake()

        deadline = None if timeout is None else time.monotonic() + timeout
        self.hearing.lend_caller(give)
        try:
            while True:
                left = None if deadline is None else max(deadline - time.monotonic(), 0)
                found = self.events.wait(wanted, left, lambda: bool(tasks) or not self.connected)
                if found is not None or not tasks:
                    return found
                began = time.monotonic()
                tasks.popleft()()
                # The time that the person takes does not count.
                deadline = None if deadline is None else deadline + time.monotonic() - began
        finally:
            self.hearing.lend_caller(None)

    @contextmanager
    def declining(self) -> Iterator[Counter[str]]:
        """Have forms declined at once until it is left, as nobody would see them; gives the methods that had some."""
        former = self.hearing.handlers.asked
        declined: Counter[str] = Counter()

        def take(request: ServerRequest, answer: Answer) -> bool:
            if request.form is None:
                return former is not None and former(request, answer)
            declined[request.method[:_LONGEST_NAME]] += 1
            return False

        self.hearing.handle(asked=take)
        try:
            yield declined
        finally:
            self.hearing.handle(asked=former)


class Follower(Protocol):
    """What shows something that goes on, until it is stopped."""

    @property
    def stopped(self) -> bool:
        """Whether it shows nothing any more."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """Show nothing any more."""


class Subscription(Generic[_T]):
    """Shows what comes of one kind, in the thread that reads it; a `Follower`.

    What comes faster than `most` a second is counted, and told with the next that is shown. `show` is given one, and
    how many were left out before it; it is false where too much waits to be shown already.
    """

    def __init__(self, listeners: list[Callable[[_T], object]], show: Callable[[_T, int], bool], most: int) -> None:
        self._listeners = listeners
        self._show = show
        self._most = most
        self._since = 0.0
        self._shown = self._left_out = 0

    @property
    def stopped(self) -> bool:
        """Whether it hears of nothing."""
        return self._take not in self._listeners

    def start(self) -> None:
        """Hear of what comes from now on."""
        self._listeners.append(self._take)

    def stop(self) -> None:
        """Hear of nothing any more."""
        if not self.stopped:
            self._listeners.remove(self._take)

    def _take(self, one: _T) -> None:
        now = time.monotonic()
        if now - self._since >= 1:
            self._since, self._shown = now, 0
        if self._shown < self._most and self._show(one, self._left_out):
            self._shown += 1
            self._left_out = 0
        else:
            self._left_out += 1


def iso_time(moment: float) -> str:
    """A time in seconds since the epoch as ISO 8601 has it, in UTC, with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(moment))}.{int(moment % 1 * 1000):03d}Z"


def _who(target: Target, name: str) -> str:
    """What to call a server: by its name in the configuration, or its program."""
    if isinstance(target, ChildTarget) and name == str(target):
        return os.path.basename(target.argv[0])  # noqa: PTH119 - a program's name need not be a path
    return name
