"""Which connections to `sync` servers nobody needed of late: each holds a worker that another client may wait for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from rpcshell.client.fleet.instances import Candidate

_PERIOD: Final = 0.1

_C = TypeVar("_C")


class Spares(Generic[_C]):
    """Finds connections that no call needed; a client's calls are seldom all at one server. Threads may share it.

    Calls take the last of the `idle` connections to an instance, and give it back there.
    """

    def __init__(self, idle: Mapping[Candidate, list[_C]]) -> None:
        self._idle = idle
        self._fewest: dict[Candidate, int] = {}
        self._due = 0.0

    def took_from(self, candidate: Candidate) -> None:
        """Note that a call has taken an idle connection."""
        left = len(self._idle.get(candidate, ()))
        if left < self._fewest.get(candidate, 0):
            self._fewest[candidate] = left

    def take_out(self, now: float) -> list[_C]:
        """Take from the idle ones those that no call needed for a tenth of a second, and return them, to be closed.

        The time `now` is in seconds, of a clock that never goes back.
        """
        if now < self._due:
            return []
        self._due = now + _PERIOD
        fewest, self._fewest = self._fewest, {}
        spare: list[_C] = []
        for candidate, connections in tuple(self._idle.items()):
            if not candidate.limited:
                continue
            # One by one, for another thread may take one at any moment.
            with contextlib.suppress(IndexError):
                spare.extend(connections.pop(0) for _ in range(fewest.get(candidate, 0)))
            self._fewest[candidate] = len(connections)
        return spare
