"""A drill's timeline, shown while it grows, and the follower of the server that fills it.

The server's events have the times at which it saw them; its queue and the workers' states are looked at every few
hundredths of a second, and never more often than the server has time for.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.errors import CallError, UsageError
from rpcshell.view.escape import visible
from rpcshell.view.styles import BAD, GOOD
from rpcshell.view.units import count_of
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.servers.watch import LocalServerWatch
    from rpcwire.control import ServerEvent, ServerStatus

_SHOWN: Final = 12
"""Moments of a kind that are shown; the others are counted, and told to programs."""

_STYLES: Final = {
    **dict.fromkeys(("aborting", "call_busy", "call_failed", "call_lost", "calls_wait", "delayed", "died"), BAD),
    **dict.fromkeys(("dropped", "gone", "missed", "refused", "reload_failed", "stalled", "turned_away"), BAD),
    **dict.fromkeys(("calls_go_on", "queue_drained", "ready", "recovered", "reloaded", "thawed"), GOOD),
}

_SENTENCES: Final = {
    "signalled": "SIG{event.signal} sent to {who}",
    "ready": "{who} is READY",
    "left": "{who} left",
    "draining": "{who} drains: it answers what has arrived, and leaves",
    "aborting": "{who} is made to write its stack to the log, and to die",
    "retiring": "{who} {event.text}, and is replaced",
    "reclaim": "{who} is asked to let its connection go, for others wait",
    "frozen": "{who} is frozen {event.text}: SIGSTOP",
    "thawed": "{who} goes on: SIGCONT",
    "stalled": "{who} is stalled: its loop stands still",
    "recovered": "{who} is not stalled any more",
    "delayed": "{who} lived for less than a second: {event.text}",
    "scaling": "scaling {event.text}",
    "reloading": "the reload begins: generation {event.generation}",
    "reloaded": "the reload has ended: all workers are of generation {event.generation}",
    "reload_failed": "the reload is given up: {event.text}",
    "stem_ready": "the app of generation {event.generation} is loaded, and workers come of its stem",
    "stem_died": "the stem of generation {event.generation} {event.text}: another one loads the app",
}
"""What is said of the server's events, by their kind; of those that need more than their figures, in `_sentence`."""

_SHOWN_ONCE: Final = frozenset({"call_busy"})

_KEPT: Final = 5000

_WHEN: Final = attrgetter("at")


_PERIOD: Final = 0.01
_STATUS_PERIOD: Final = 0.03
_SHARE: Final = 10
"""Of its time a server gives no more than one part in so many to being looked at."""

_LAG: Final = 0.02
"""Seconds that a thread may need to tell the timeline what it has just seen."""


class _Moment(msgspec.Struct, frozen=True):
    """One thing that happened at a time on `time.monotonic`'s clock."""

    at: float
    event: str
    """In a word, for programs."""
    text: str
    """For people, safe on a terminal."""
    details: dict[str, Any] = {}
    """Numbers and names that go with it: worker, pid, signal."""


class Timeline:
    """Moments of one drill; any thread may add to it. Each is shown as soon as nothing earlier can come any more.

    `show` is given a line and the style that says whether it tells of something good or bad.
    """

    def __init__(self, show: Callable[[str, str], None] | None) -> None:
        self.began = time.monotonic()
        self._show = show
        self._lock = threading.Lock()
        self._moments: list[_Moment] = []
        self._unshown = 0
        self._counts: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()

    def start(self) -> None:
        """Count from now on; what was added before is forgotten."""
        with self._lock:
            self.began = time.monotonic()
            self._moments.clear()
            self._counts.clear()
            self._unshown = 0

    def add(self, event: str, text: str, *, at: float | None = None, **details: Any) -> None:
        """Add a moment, now if no time is given; the text may hold what came from a server, details of None go."""
        known = {name: value for name, value in details.items() if value is not None}
        moment = _Moment(time.monotonic() if at is None else at, event, visible(text), known)
        with self._lock:
            self._counts[event] += 1
            if len(self._moments) < _KEPT:
                # What was shown stays before what comes late.
                bisect.insort(self._moments, moment, lo=self._unshown, key=_WHEN)

    def flush(self, before: float = float("inf")) -> None:
        """Show what happened before a time; nothing earlier may be added later."""
        with self._lock:
            end = bisect.bisect_left(self._moments, before, lo=self._unshown, key=_WHEN)
            ready = self._moments[self._unshown : end]
            self._unshown = end
        if self._show is None:
            return
        for moment in ready:
            self._seen[moment.event] += 1
            most = 1 if moment.event in _SHOWN_ONCE else _SHOWN
            if self._seen[moment.event] <= most:
                self._show(f"{self.milliseconds(moment.at):>9.1f} ms  {moment.text}", _STYLES.get(moment.event, ""))
            elif self._seen[moment.event] == most + 1:
                self._show(f"{'…':>12}  what comes more of this is counted, but not shown", "")

    def milliseconds(self, at: float) -> float:
        """A time as milliseconds since the start."""
        return (at - self.began) * 1000

    def count(self, event: str) -> int:
        """How many moments of a kind there were."""
        with self._lock:
            return self._counts[event]

    def find(self, event: str) -> list[_Moment]:
        """The moments of a kind, in order."""
        with self._lock:
            return [moment for moment in self._moments if moment.event == event]

    def rows(self) -> list[dict[str, Any]]:
        """All moments as objects for programs, with `ms`, `event`, their details and `text`."""
        with self._lock:
            return [
                {"ms": round(self.milliseconds(one.at), 3), "event": one.event, **one.details, "text": one.text}
                for one in self._moments
            ]


class ServerFollower:
    """Looks at a server again and again, and puts what it sees on the timeline.

    `look_at_calls` is called with the time, whenever it looks. What the drill's own `callers` put into the queue, one
    connection each at most, is no news.
    """

    def __init__(
        self, watch: LocalServerWatch, timeline: Timeline, look_at_calls: Callable[[float], None], *, callers: int
    ) -> None:
        self._watch = watch
        self._timeline = timeline
        self._look_at_calls = look_at_calls
        self.status: ServerStatus = watch.status()
        """The server as it was last seen."""
        self.deepest = 0
        """The longest listen queue that was seen."""
        self.events: list[ServerEvent] = []
        """Those since `start`, in order."""
        try:
            watch.new_events()
        except CallError as error:
            if error.code != ErrorCode.METHOD_NOT_FOUND:
                raise
            raise UsageError(
                "the server was started by an older version, which tells nothing of what happens to it",
                hint="start it anew",
            ) from None
        self._status_due = 0.0
        self._told = 0
        self._callers = callers
        self._numbers = {worker.worker for worker in self.status.workers}

    def start(self) -> None:
        """Follow from now on."""
        self._watch.new_events()
        self.status = self._watch.status()
        self._told = self._others(self.status)
        self.events.clear()

    def step(self, tick: Callable[[], None] | None = None) -> None:
        """Look once, do what else is to be done, show what is known, and rest a little."""
        began = time.monotonic()
        self._take_events()
        if began >= self._status_due:
            self._take_status(began)
        self._look_at_calls(began)
        if tick is not None:
            tick()
        self._timeline.flush(began - _LAG)
        taken = time.monotonic() - began
        time.sleep(max(_PERIOD - taken, (_SHARE - 1) * taken / 2, 0.001))

    def until(
        self, holds: Callable[[ServerStatus], bool], seconds: float, tick: Callable[[], None] | None = None
    ) -> bool:
        """Look until something holds of the server as it is seen; whether it came to, within so many seconds."""
        deadline = time.monotonic() + seconds
        while not holds(self.status):
            if time.monotonic() >= deadline:
                return False
            self.step(tick)
        return True

    def seconds(self, seconds: float) -> None:
        """Look for so many seconds."""
        self.until(lambda _: False, seconds)

    def refresh(self) -> None:
        """Look at the events and the workers now."""
        self._take_events()
        self._take_status(time.monotonic())

    def _take_events(self) -> None:
        found = self._watch.new_events()
        if found.missed:
            self._timeline.add(
                "missed", f"{count_of(found.missed, 'event')} came too fast to be told", missed=found.missed
            )
        for event in found.events:
            self.events.append(event)
            self._timeline.add(event.kind, self._sentence(event), at=event.at, **_details(event))

    def _take_status(self, began: float) -> None:
        self.status = status = self._watch.status()
        self._status_due = began + max(_STATUS_PERIOD, _SHARE * (time.monotonic() - began))
        self.deepest = max(self.deepest, status.waiting)
        waiting = self._others(status)
        # Each doubling and halving is news, and so is the end.
        if waiting == self._told or (waiting and self._told and self._told / 2 < waiting < self._told * 2):
            return
        self._told = waiting
        if not waiting:
            self._timeline.add("queue_drained", "the listen queue is drained", waiting=0)
            return
        limit = sum(listener.limit or 0 for listener in status.listeners)
        self._timeline.add("queue", f"queue {waiting}/{limit}", waiting=waiting, limit=limit)

    def _others(self, status: ServerStatus) -> int:
        """How many wait in the queue where that can be more than the callers."""
        return status.waiting if status.waiting > self._callers else 0

    def _sentence(self, event: ServerEvent) -> str:
        who = f"worker {event.worker} (pid {event.pid})"
        match event.kind:
            case "forked":
                new = event.worker not in self._numbers
                self._numbers.add(event.worker or 0)
                return f"{'' if new else 'replacement '}pid {event.pid} forked for worker {event.worker}"
            case "died":
                inside = f", {count_of(event.lost, 'call')} in hand" if event.lost else ""
                return f"{who} {f'died of SIG{event.signal}' if event.signal else f'died: {event.text}'}{inside}"
            case kind if kind in _SENTENCES:
                return _SENTENCES[kind].format(event=event, who=who)
            case kind:
                about = who if event.worker is not None else ""
                return " ".join(part for part in (about, kind.replace("_", " "), event.text) if part)


def _details(event: ServerEvent) -> dict[str, Any]:
    return {
        "worker": event.worker,
        "pid": event.pid,
        "generation": event.generation,
        "signal": event.signal,
        "lost": event.lost if event.kind == "died" else None,
    }
