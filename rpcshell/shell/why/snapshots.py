"""Looking at a server for a moment: what it says, and what the system says of its processes and of a connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ShellError
from rpcshell.servers.holders import children_of, find_place, process_state
from rpcshell.shell.why.evidence import Snapshot

if TYPE_CHECKING:
    from rpcshell.client.trace import Ends
    from rpcshell.servers import ServerStatus

__all__ = ["LOOK", "take_snapshot"]

LOOK: Final = 1.0
"""Seconds a server has to answer; one that was stopped never does."""


def take_snapshot(path: str, ends: Ends | None, arbiter: int | None) -> Snapshot:
    """Look at a server now.

    Args:
        path: Of its control socket.
        ends: The addresses of a connection to it whose place is wanted, this side's first.
        arbiter: Its process id, where it is known without asking.
    """
    from rpcshell.servers import Control

    status: ServerStatus | None = None
    try:
        with Control(path, timeout=LOOK) as control:
            status = control.status()
    except ShellError:
        # What a server that hangs does not say, the system still may.
        pass
    at = time.monotonic()
    if status is not None:
        arbiter = status.pid
    workers = [worker.pid for worker in status.workers] if status is not None else children_of(arbiter or 0)
    states = {pid: process_state(pid) for pid in (arbiter, *workers) if pid is not None}
    place = None if ends is None else find_place(ends, workers)
    return Snapshot(at=at, status=status, states=states, place=place)
