"""The row above the prompt that tells what has come unasked since the line before: `<- window/logMessage x6`."""

import threading
from typing import Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text.base import StyleAndTextTuples

from rpcshell.prompt.screen import call_in_loop
from rpcshell.shell.unasked import MOST_EVENTS, EventLog, HeardEvent
from rpcshell.view.escape import visible
from rpcshell.view.width import cells, cut

_SECONDS_BETWEEN_DRAWINGS: Final = 0.1
_MOST_NAMES: Final = 50
_LONGEST_NAME: Final = 40


class EventLine:
    """Counts events by their names, and has the prompt drawn when the counts change.

    The row is a part of the prompt, so that it changes in place and never comes between what is being typed.
    """

    def __init__(self, events: EventLog, application: Application[Any]) -> None:
        self.events = events
        self._application = application
        self._counts: dict[str, int] = {}
        self._drawn: dict[str, int] = {}
        self._lock = threading.Lock()
        self._pending = False
        for event in events.recent():
            self._count(event)
        events.listeners.append(self._came)

    def fragments(self, columns: int) -> StyleAndTextTuples:
        """The row with its newline, or nothing."""
        with self._lock:
            self._drawn = dict(self._counts)
        if not self._drawn:
            return []
        return [("class:note", f"{_folded(self._drawn, columns - 1)}\n")]

    def begin_anew(self) -> None:
        """The line is entered: what was drawn stays above it, and is counted no longer."""
        with self._lock:
            left = ((name, count - self._drawn.get(name, 0)) for name, count in self._counts.items())
            self._counts = {name: count for name, count in left if count}
            self._drawn = {}
        # Who was to draw may have gone with the prompt.
        self._pending = False

    def _came(self, event: HeardEvent) -> None:
        self._count(event)
        if not self._pending:
            self._pending = True
            if not call_in_loop(self._application, self._draw_soon):
                # It is drawn with the prompt that comes next.
                self._pending = False

    def _count(self, event: HeardEvent) -> None:
        with self._lock:
            name = event.name if event.name in self._counts or len(self._counts) < _MOST_NAMES else ""
            self._counts[name] = self._counts.get(name, 0) + 1

    def _draw_soon(self) -> None:
        loop = self._application.loop
        if loop is not None:
            loop.call_later(_SECONDS_BETWEEN_DRAWINGS, self._draw)

    def _draw(self) -> None:
        self._pending = False
        self._application.invalidate()


def _folded(counts: dict[str, int], columns: int) -> str:
    """Names with how often each came, as many as there is room for, the latest to come first."""
    total = sum(counts.values())
    more = f" · :events shows the last {MOST_EVENTS:,}" if total > MOST_EVENTS else ""
    row = "<-"
    left = len(counts)
    for name, count in reversed(counts.items()):
        text = (visible(name[:_LONGEST_NAME]) if name else "others") + (f" x{count:,}" if count > 1 else "")
        rest = f", {left - 1} more" if left > 1 else ""
        separator = " " if left == len(counts) else ", "
        if left < len(counts) and cells(row + separator + text + rest + more) > columns:
            row += f", {left} more"
            break
        row += separator + text
        left -= 1
    return cut(row + more, max(columns, 1))
