"""The one way to keep an eye on a server: asking its control socket now and then for what is new.

It knows servers on this machine only, since only those have a control socket that can be reached.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Self, TypeVar

from rpcshell.client.errors import ConnectionFailed, ConnectionLost, ShellError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.servers.control import Control
    from rpcwire.control import Events, LogPart, LogPosition, ServerStatus

_PATIENCE = 0.5
"""Seconds that whoever stops a thread waits for its last look; a server that hangs is not waited for."""

_T = TypeVar("_T")


class LocalServerWatch:
    """Asks one server on this machine, on demand or again and again in a thread; for one thread at a time.

    A lost connection is made anew by `connect` at the next question, so that a restarted server is found again.
    """

    def __init__(self, connect: Callable[[], Control]) -> None:
        self._connect = connect
        self._control: Control | None = None
        self._last_event = 0
        self._log_position: LogPosition | None = None
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """True has the thread look at once, False has it end."""
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def control(self) -> Control:
        """The connection, to steer the server with."""
        if self._control is None:
            self._control = self._connect()
        return self._control

    def close(self) -> None:
        """Close the connection; a later question makes another."""
        control, self._control = self._control, None
        if control is not None:
            control.close()

    def ask(self, question: Callable[[Control], _T]) -> _T:
        """What a question to the server returns, or raises."""
        try:
            return question(self.control)
        except (ConnectionFailed, ConnectionLost):
            self.close()
            raise

    def status(self) -> ServerStatus:
        """What the server and its workers do now."""
        return self.ask(lambda control: control.status())

    def status_if_told(self) -> ServerStatus | None:
        """The same, or None where the server does not tell."""
        try:
            return self.status()
        except ShellError:
            return None

    def new_events(self) -> Events:
        """What happened since this was last asked: at first, and of a restarted server, all that it remembers."""
        found = self.ask(lambda control: control.events(self._last_event))
        if found.last < self._last_event:
            found = self.ask(lambda control: control.events())
        self._last_event = found.last
        return found

    def new_log(self, limit: int) -> LogPart:
        """What was logged since this was last asked, at first the last lines; as `Control.log_since`."""
        part = self.ask(lambda control: control.log_since(self._log_position, limit))
        self._log_position = part.next
        return part

    def start(self, look: Callable[[], object], period: float, name: str) -> None:
        """Have a thread of that name `run`."""
        self._thread = threading.Thread(target=self.run, args=(look, period), name=name, daemon=True)
        self._thread.start()

    def run(self, look: Callable[[], object], period: float) -> None:
        """Call `look` every `period` seconds until `stop`, then close the connection."""
        due = time.monotonic()
        try:
            while True:
                look()
                # After a time without an answer there is nothing to catch up with.
                due = max(due + period, time.monotonic())
                try:
                    goes_on = self._signals.get(timeout=max(due - time.monotonic(), 0))
                except queue.Empty:
                    continue
                if not goes_on:
                    return
                due -= period
        finally:
            self.close()

    def look_now(self) -> None:
        """Have the thread look at once, beside its rhythm."""
        self._signals.put(True)

    def stop(self, patience: float = _PATIENCE) -> None:
        """End `run` once the looks that were asked for are done, which is waited for so many seconds."""
        self._signals.put(False)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(patience)
