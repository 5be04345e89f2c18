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


def test_new_processes_are_read_at_once_and_known_ones_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, read = [100.0], list[int]()

    def reading(pid: int) -> MemoryUse:
        read.append(pid)
        now[0] += 0.0045
        return MemoryUse(pid, len(read))

    monkeypatch.setattr(memory_gauge, "time", SimpleNamespace(monotonic=lambda: now[0], thread_time=lambda: now[0]))
    monkeypatch.setattr(memory_gauge, "memory_use", reading)
    gauge = MemoryGauge()
    assert set(gauge.read([1, 2])) == {1, 2}
    assert set(gauge.read([1, 2, 3])) == {1, 2, 3}
    assert sorted(read) == [1, 2, 3]
    # Those that were read longest ago come first, and a fiftieth of the time is the most.
    now[0] += 1.5
    gauge.read([1, 2, 3])
    assert read[3:] == read[:3]
    now[0] += 0.5
    gauge.read([1, 2, 3])
    assert len(read) == 6
    assert set(gauge.read([3])) == {3}


def test_an_answer_is_not_kept_waiting_for_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def reading(pid: int) -> MemoryUse:
        now[0] += 0.0045
        return MemoryUse(pid, pid)

    monkeypatch.setattr(memory_gauge, "time", SimpleNamespace(monotonic=lambda: now[0], thread_time=lambda: now[0]))
    monkeypatch.setattr(memory_gauge, "memory_use", reading)
    gauge, pids = MemoryGauge(), range(1, 15)
    assert [len(gauge.read(pids)) for _ in range(3)] == [5, 10, 14]


def test_a_machine_that_is_busy_with_other_things_keeps_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def reading(pid: int) -> MemoryUse:
        now[0] += 1
        return MemoryUse(pid, pid)

    monkeypatch.setattr(memory_gauge, "time", SimpleNamespace(monotonic=lambda: now[0], thread_time=lambda: 0.0))
    monkeypatch.setattr(memory_gauge, "memory_use", reading)
    assert set(MemoryGauge().read(range(1, 15))) == set(range(1, 15))
