"""What a run costs a server on this machine: processor time, memory, and what was lost.

The server tells which processes it has; what they used is read from proc(5), so that this is for Linux only.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rpcshell.lab.bench.measurement import ServerUse
from rpcshell.servers.processes import stat_fields
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


def processes_under(pid: int) -> list[int]:
    """A process and all that descend from it, as far as they still do."""
    found = [pid]
    for parent in found:
        # What fails has just ended, or the kernel does not tell.
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                with contextlib.suppress(OSError):
                    found += map(int, (task / "children").read_text().split())
    return found


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process and of its children that have ended; 0 where it has gone.

    A child's time goes to its parent when that waits for it (cutime in proc(5)): summed over a tree of processes,
    nothing that came and went is missed.
    """
    try:
        # utime, stime, cutime and cstime.
        times = stat_fields(pid)[11:15]
    except OSError:
        return 0.0
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def memory_under(pid: int) -> int | None:
    """`proportional_memory` of a process and all that descend from it, in which what they share is counted once."""
    memory = [proportional_memory(one) for one in processes_under(pid)]
    return None if None in memory else sum(size or 0 for size in memory)


def proportional_memory(pid: int) -> int | None:
    """Bytes of memory of a process, its part of what it shares (PSS); None where that is not told."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0 if not Path(f"/proc/{pid}").exists() else None
    except OSError:
        return None
    found = next((line.split() for line in text.splitlines() if line.startswith("Pss:")), None)
    return None if found is None else int(found[1]) * 1024
