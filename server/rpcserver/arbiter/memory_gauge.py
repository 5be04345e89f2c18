"""How much memory processes take, what they share counted once: PSS and USS, as far as the kernel tells.

To tell it the kernel looks at every page: a millisecond for 50 MB. So it is not asked anew for everybody who asks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

_BUDGET: Final = 0.02
_SHARE: Final = 50
"""What was read is kept for so many times the seconds that this took."""

_LEAST_AGE: Final = 1.0


class MemoryUse(msgspec.Struct, frozen=True):
    """Memory of a process in bytes; None where the kernel does not tell."""

    pss: int | None = None
    """Its own, and its part of what it shares with others: the proportional set size, proc_pid_smaps(5)."""
    uss: int | None = None
    """What is its own alone, and would be free without it: the unique set size."""


class MemoryGauge:
    """Reads what processes take, and remembers it.

    One answer costs `budget` seconds at most, of processor time, which a busy machine does not use up. What was not
    reached is read for the next one.
    """

    def __init__(self, budget: float = _BUDGET) -> None:
        self._budget = budget
        self._known: dict[int, MemoryUse] = {}
        self._anew_at = 0.0

    def read(self, pids: Iterable[int]) -> dict[int, MemoryUse]:
        """Return what these processes take, or took when it was last looked at; all others are forgotten."""
        pids = set(pids)
        began, worked = time.monotonic(), time.thread_time()
        self._known = {pid: use for pid, use in self._known.items() if pid in pids}
        due = list(pids - self._known.keys())
        if began >= self._anew_at:
            # Those that were read longest ago come first.
            due += self._known
        for pid in due:
            self._known.pop(pid, None)
            self._known[pid] = memory_use(pid)
            if time.thread_time() - worked > self._budget:
                break
        if due:
            spent = time.thread_time() - worked
            self._anew_at = max(self._anew_at, time.monotonic() + max(_LEAST_AGE, _SHARE * spent))
        return self._known


def memory_use(pid: int) -> MemoryUse:
    """Read what a process takes; nothing is known of one that has gone, or may not be looked at."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123 - half the time of a Path
            found = dict(line.split()[:2] for line in file.read().splitlines()[1:])
    except OSError:
        return MemoryUse()
    private = (found.get(name) for name in (b"Private_Clean:", b"Private_Dirty:", b"Private_Hugetlb:"))
    return MemoryUse(
        int(found[b"Pss:"]) * 1024 if b"Pss:" in found else None,
        sum(int(size) for size in private if size is not None) * 1024,
    )
