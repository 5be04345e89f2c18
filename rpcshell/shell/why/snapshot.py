"""How a local server looks at one moment: what it tells by its control socket, and what the system tells of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.servers.control import Control
from rpcshell.servers.processes import children_of, find_server_end, process_state
from rpcshell.servers.watch import LocalServerWatch

if TYPE_CHECKING:
    from rpcshell.client.trace import Ends
    from rpcshell.servers.processes import ServerEnd
    from rpcwire.control import ServerStatus

LOOK: Final = 1.0
"""Seconds a server has to answer; one that was stopped never does."""

STOPPED: Final = "T"
"""The state of a process that was stopped by a signal, as proc(5) has it."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A server at one moment."""

    at: float
    """When, on `time.monotonic`'s clock."""
    status: ServerStatus | None = None
    """What the server told, or None where it did not answer."""
    states: dict[int, str] = {}
    """The states of its processes, by their ids, as proc(5) tells them."""
    place: ServerEnd | None = None
    """Where the server's end of the call's connection was, or None where that is not known."""

    def stopped(self, pid: int | None) -> bool:
        """Whether a process was stopped by a signal."""
        return pid is not None and self.states.get(pid, "").upper() == STOPPED


def take_snapshot(path: str, ends: Ends | None, arbiter: int | None) -> Snapshot:
    """Look now at the server of a control socket, and for the place of a connection to it with these ends.

    The arbiter is its process id, where that is known without asking.
    """
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
