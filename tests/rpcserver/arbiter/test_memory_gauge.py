"""How much memory processes take, and that asking for it often costs little."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from rpcserver.arbiter import memory_gauge
from rpcserver.arbiter.memory_gauge import MemoryGauge, MemoryUse, memory_use


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this kernel does not tell")
def test_what_a_process_takes_is_told_and_of_one_that_has_gone_nothing() -> None:
    use = memory_use(os.getpid())
    assert use.pss is not None
    assert use.uss is not None
    assert 1_000_000 < use.uss <= use.pss
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    assert memory_use(gone.pid) == MemoryUse()


class Machine:
    """A clock, and processes that each take a while to be read; of processor time, unless the machine is busy."""

    def __init__(self, patch: pytest.MonkeyPatch, seconds: float, *, busy: bool = False) -> None:
        self.now = 100.0
        self.read: list[int] = []
        self._seconds = seconds
        clock = SimpleNamespace(monotonic=lambda: self.now, thread_time=lambda: 0.0 if busy else self.now)
        patch.setattr(memory_gauge, "time", clock)
        patch.setattr(memory_gauge, "memory_use", self._use)

    def _use(self, pid: int) -> MemoryUse:
        self.read.append(pid)
        self.now += self._seconds
        return MemoryUse(pid, pid)


def test_new_processes_are_read_at_once_and_known_ones_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, gauge = Machine(monkeypatch, 0.0045), MemoryGauge()
    assert set(gauge.read([1, 2])) == {1, 2}
    assert set(gauge.read([1, 2, 3])) == {1, 2, 3}
    assert sorted(machine.read) == [1, 2, 3]
    # Those that were read longest ago come first, and a fiftieth of the time is the most.
    machine.now += 1.5
    gauge.read([1, 2, 3])
    assert machine.read[3:] == machine.read[:3]
    machine.now += 0.5
    gauge.read([1, 2, 3])
    assert len(machine.read) == 6
    assert set(gauge.read([3])) == {3}


def test_an_answer_is_not_kept_waiting_for_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, 0.0045)
    gauge, pids = MemoryGauge(), range(1, 15)
    assert [len(gauge.read(pids)) for _ in range(3)] == [5, 10, 14]


def test_a_machine_that_is_busy_with_other_things_keeps_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, 1.0, busy=True)
    assert set(MemoryGauge().read(range(1, 15))) == set(range(1, 15))
