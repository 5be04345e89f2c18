"""How a local server looks at one moment, and looking at it while a call hangs.

A call that is silent for long, or brings no reply, has the server looked at from a thread of its own, so that it is
never held up. A server that cannot be looked at is tried once.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import ShellError
from rpcshell.client.threads import thread_for
from rpcshell.shell.call_trace import CallTrace

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread
    from typing import Any, Protocol

    from rpcshell.client.target import Target
    from rpcshell.client.trace import Ends
    from rpcshell.servers.processes import ServerEnd
    from rpcwire.control import ServerStatus

    class Locator(Protocol):
        """Finds the server that calls go to, if it is the user's own on this machine."""

        def path(self, instance: Target | None = None) -> str:
            """The path of its control socket, or of that of an instance of the fleet."""

        def arbiter(self, instance: Target | None = None) -> int | None:
            """Its process id, where it is known without asking."""


__all__ = ["LOOK", "STOPPED", "Lookout", "Sighting", "Snapshot", "take_snapshot"]

LOOK: Final = 1.0
"""Seconds a server has to answer; one that was stopped never does."""

STOPPED: Final = "T"
"""The state of a process that was stopped by a signal, as proc(5) has it."""

_PATIENCE: Final = 3.0
"""Seconds for which whoever asks why waits for whoever still looks."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A server at one moment on `time.monotonic`'s clock, as far as it, and the system, told."""

    at: float
    status: ServerStatus | None = None
    states: dict[int, str] = {}
    """Of its processes, by their ids, as proc(5) tells them."""
    place: ServerEnd | None = None
    """Of the server's end of the call's connection."""

    def stopped(self, pid: int | None) -> bool:
        """Whether a process was stopped by a signal."""
        return pid is not None and self.states.get(pid, "").upper() == STOPPED


def take_snapshot(path: str, ends: Ends | None, arbiter: int | None) -> Snapshot:
    """Look now at the server of a control socket, and for the place of a connection to it with these ends.

    The arbiter is its process id, where that is known without asking.
    """
    from rpcshell.servers.control import Control
    from rpcshell.servers.processes import children_of, find_server_end, process_state
    from rpcshell.servers.watch import LocalServerWatch

    with LocalServerWatch(lambda: Control(path, timeout=LOOK)) as watch:
        # What a server that hangs does not say, the system still may.
        status = watch.status_if_told()
    at = time.monotonic()
    if status is not None:
        arbiter = status.pid
    workers = [worker.pid for worker in status.workers] if status is not None else children_of(arbiter or 0)
    states = {pid: process_state(pid) for pid in (arbiter, *workers) if pid is not None}
    place = None if ends is None else find_server_end(ends, workers)
    return Snapshot(at=at, status=status, states=states, place=place)


class Sighting:
    """How the server looks to one call: nothing is seen unless the call hangs or fails."""

    def __init__(
        self, take: Callable[[CallTrace], Snapshot | None] | None, on_partial: Callable[[Any], None] | None = None
    ) -> None:
        self.trace = CallTrace(None if take is None else lambda _trace: self.look(), on_partial)
        self._take = take
        self._looking: Thread | None = None
        self._seen: Snapshot | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The server during the call or right after it; waits for whoever is looking. None where nobody could."""
        if self._looking is not None:
            self._looking.join(_PATIENCE)
        return self._seen

    def look(self) -> None:
        """Have a thread look at the server: again while the call lasts, and once it is over if nobody has."""
        if self._take is None or (self.trace.ended and self._seen is not None):
            return
        if self._looking is None or not self._looking.is_alive():
            self._looking = thread_for(partial(self._run, self._take), "lookout")

    def _run(self, take: Callable[[CallTrace], Snapshot | None]) -> None:
        self._seen = take(self.trace) or self._seen


class Lookout:
    """Looks at the server of calls that hang or fail, from other threads."""

    def __init__(self, server: Callable[[], Locator]) -> None:
        self._server = server
        self._out_of_sight: set[tuple[str, Target | None]] = set()

    def begin(self, target: str, on_partial: Callable[[Any], None], *, watchful: bool) -> Sighting:
        """What goes along with the next call and takes its parts. A watchful one may look at the target's server."""
        able = watchful and (target, None) not in self._out_of_sight
        return Sighting((lambda trace: self._take(target, trace)) if able else None, on_partial)

    def _take(self, target: str, trace: CallTrace) -> Snapshot | None:
        instance = trace.instance
        if (target, instance) in self._out_of_sight:
            return None
        try:
            path = self._server().path(instance)
        except ShellError:
            self._out_of_sight.add((target, instance))
            return None
        return take_snapshot(path, trace.ends, self._server().arbiter(instance))
