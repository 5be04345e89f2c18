"""What a run costs a server on this machine: processor time, memory, and what was lost.

The server tells which processes it has; what they used proc(5) does, so that this is for Linux only.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rpcshell.lab.bench.measurement import ServerUse
from rpcshell.servers.processes import memory_under, processes_under, processor_time
from rpcshell.servers.watch import LocalServerWatch

if TYPE_CHECKING:
    from rpcshell.servers.control import Control
    from rpcwire.control import ServerStatus


class ServerMeter:
    """Measures a server from when it is made, by a control that `finish` closes.

    Where one thing cannot be measured, there is no measurement.
    """

    def __init__(self, control: Control) -> None:
        self._watch = LocalServerWatch(lambda: control)
        self._waiting = 0
        self._first = self._ask()
        self._last = self._first
        self._began = 0.0 if self._first is None else _used(self._first)

    def look(self) -> None:
        """See how many connections wait; to be called now and then."""
        if self._last is not None:
            self._last = self._ask()

    def finish(self) -> ServerUse | None:
        """What it cost; None if the server has gone meanwhile, or this is not Linux."""
        self.look()
        first, last = self._first, self._last
        self._watch.close()
        if first is None or last is None or sys.platform != "linux" or first.pid != last.pid:
            return None
        return ServerUse(
            model=last.model,
            workers=last.wanted or len(last.workers),
            cpu=max(0.0, _used(last) - self._began),
            memory=memory_under(last.pid),
            died=last.totals.died - first.totals.died,
            lost=last.totals.lost - first.totals.lost,
            waiting=self._waiting,
        )

    def _ask(self) -> ServerStatus | None:
        status = self._watch.status_if_told()
        if status is not None:
            self._waiting = max(self._waiting, status.waiting)
        return status


def _used(status: ServerStatus) -> float:
    return sum(processor_time(pid) for pid in processes_under(status.pid))
