"""Looking at a local server while a call hangs.

A call that is silent for long, or brings no reply, has the server looked at from a thread of its own, so that it is
never held up. A server that cannot be looked at is tried once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ShellError
from rpcshell.client.threads import thread_for
from rpcshell.client.trace import CallTrace

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread
    from typing import Any, Protocol

    from rpcshell.client.target import Target
    from rpcshell.shell.why.snapshot import Snapshot

    class Locator(Protocol):
        """Finds the server that calls go to, if it is the user's own on this machine."""

        def path(self, instance: Target | None = None) -> str:
            """The path of its control socket, or of that of an instance of the fleet."""

        def arbiter(self, instance: Target | None = None) -> int | None:
            """Its process id, where it is known without asking."""


_PATIENCE: Final = 3.0
"""Seconds for which whoever asks why waits for whoever still looks."""


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
        from rpcshell.shell.why.snapshot import take_snapshot

        return take_snapshot(path, trace.ends, self._server().arbiter(instance))
