"""Following a server while a drill runs: its own events and its listen queue, put on the timeline.

The events have the times at which the server saw them; the queue and the workers' states are looked at every few
hundredths of a second, and never more often than the server has time for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.errors import CallError, UsageError
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.lab.drills.probe import Probe
    from rpcshell.lab.drills.timeline import Timeline
    from rpcshell.servers import Control
    from rpcwire.control import ServerEvent, ServerStatus

__all__ = ["Follower"]

_PERIOD: Final = 0.01
_STATUS_PERIOD: Final = 0.03
_SHARE: Final = 10
"""Of its time a server gives no more than one part in so many to being looked at."""

_SOME: Final = 5

_LAG: Final = 0.02
"""Seconds that a thread may need to tell the timeline what it has just seen."""


class Follower:
    """Looks at a server again and again.

    Args:
        control: A connection to the server's control socket.
        timeline: Takes what is seen.
        probe: Is asked whether its calls wait.

    Attributes:
        status: The server as it was last seen.
        deepest: The longest listen queue that was seen.
        reclaimed: How many workers were asked to let their connection go.
    """

    def __init__(self, control: Control, timeline: Timeline, probe: Probe) -> None:
        self._control = control
        self._timeline = timeline
        self._probe = probe
        self.status: ServerStatus = control.status()
        self.deepest = 0
        self.reclaimed = 0
        self.events: list[ServerEvent] = []
        """Those since `start`, in order."""
        try:
            self._last = control.events().last
        except CallError as error:
            if error.code != ErrorCode.METHOD_NOT_FOUND:
                raise
            raise UsageError(
                "the server was started by an older version, which tells nothing of what happens to it",
                hint="start it anew",
            ) from None
        self._status_due = 0.0
        self._told = 0
        self._waited = False
        self._numbers = {worker.worker for worker in self.status.workers}

    def start(self) -> None:
        """Follow from now on."""
        self._last = self._control.events().last
        self.status = self._control.status()
        self._told = self.status.waiting
        self.events.clear()

    def step(self, tick: Callable[[], None] | None = None) -> None:
        """Look once, show what is known, and rest a little.

        Args:
            tick: Does what else is to be done meanwhile.
        """
        began = time.monotonic()
        self._take_events()
        if began >= self._status_due:
            self._take_status(began)
        self._probe.look(began)
        if tick is not None:
            tick()
        self._timeline.flush(began - _LAG)
        taken = time.monotonic() - began
        time.sleep(max(_PERIOD - taken, (_SHARE - 1) * taken / 2, 0.001))

    def until(
        self, holds: Callable[[ServerStatus], bool], seconds: float, tick: Callable[[], None] | None = None
    ) -> bool:
        """Look until something holds.

        Args:
            holds: Judges the server as it is seen.
            seconds: For how long, at most.
            tick: Does what else is to be done meanwhile.

        Returns:
            Whether it came to hold.
        """
        deadline = time.monotonic() + seconds
        while not holds(self.status):
            if time.monotonic() >= deadline:
                return False
            self.step(tick)
        return True

    def seconds(self, seconds: float, tick: Callable[[], None] | None = None) -> None:
        """Look for so many seconds."""
        self.until(lambda _: False, seconds, tick)

    def refresh(self) -> None:
        """Look at the events and the workers now."""
        self._take_events()
        self._take_status(time.monotonic())

    def _take_events(self) -> None:
        found = self._control.events(self._last)
        self._last = found.last
        if found.missed:
            self._timeline.add("missed", f"{found.missed} events came too fast to be told", missed=found.missed)
        for event in found.events:
            self.events.append(event)
            self._timeline.add(event.kind, self._sentence(event), at=event.at, **_details(event))
            self.reclaimed += event.kind == "reclaim"

    def _take_status(self, began: float) -> None:
        self.status = status = self._control.status()
        self._status_due = began + max(_STATUS_PERIOD, _SHARE * (time.monotonic() - began))
        waiting = status.waiting
        self.deepest = max(self.deepest, waiting)
        # The callers themselves wait for a moment now and then.
        brief, self._waited = not self._waited, waiting > 0
        if waiting and brief and waiting < _SOME:
            return
        # Each doubling and halving is news, and so is the end.
        if waiting == self._told or (waiting and self._told and self._told / 2 < waiting < self._told * 2):
            return
        self._told = waiting
        if not waiting:
            self._timeline.add("queue_drained", "the listen queue is drained", waiting=0)
            return
        limit = sum(listener.limit or 0 for listener in status.listeners)
        self._timeline.add("queue", f"queue {waiting}/{limit}", waiting=waiting, limit=limit)

    def _sentence(self, event: ServerEvent) -> str:
        who = f"worker {event.worker} (pid {event.pid})"
        match event.kind:
            case "signalled":
                return f"SIG{event.signal} sent to {who}"
            case "forked":
                new = event.worker not in self._numbers
                self._numbers.add(event.worker or 0)
                return f"{'' if new else 'replacement '}pid {event.pid} forked for worker {event.worker}"
            case "ready":
                return f"{who} is READY"
            case "died":
                calls = "1 call" if event.lost == 1 else f"{event.lost} calls"
                inside = f", {calls} in hand" if event.lost else ""
                return f"{who} {f'died of SIG{event.signal}' if event.signal else f'died: {event.text}'}{inside}"
            case "left":
                return f"{who} left"
            case "draining":
                return f"{who} drains: it answers what has arrived, and leaves"
            case "aborting":
                return f"{who} is made to write its stack to the log, and to die"
            case "retiring":
                return f"{who} {event.text}, and is replaced"
            case "reclaim":
                return f"{who} is asked to let its idle connection go, for others wait"
            case "frozen":
                return f"{who} is frozen {event.text}: SIGSTOP"
            case "thawed":
                return f"{who} goes on: SIGCONT"
            case "delayed":
                return f"{who} lived for less than a second: {event.text}"
            case "scaling":
                return f"scaling {event.text}"
            case "reloading":
                return f"the reload begins: generation {event.generation}"
            case "reloaded":
                return f"the reload has ended: all workers are of generation {event.generation}"
            case "reload_failed":
                return f"the reload is given up: {event.text}"
            case _:
                about = who if event.worker is not None else ""
                return " ".join(part for part in (about, event.kind.replace("_", " "), event.text) if part)


def _details(event: ServerEvent) -> dict[str, Any]:
    return {
        "worker": event.worker,
        "pid": event.pid,
        "generation": event.generation,
        "signal": event.signal,
        "lost": event.lost if event.kind == "died" else None,
    }
