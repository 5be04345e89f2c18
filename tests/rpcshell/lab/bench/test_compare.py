from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.bench.compare import against_last, noise, paired_noise
from rpcshell.lab.bench.measurement import Measurement
from rpcshell.lab.bench.run_memory import RunMemory
from tests.rpcshell.lab.bench.measuring import measured


@pytest.fixture
def memory(tmp_path: Path) -> RunMemory:
    return RunMemory(lambda: tmp_path)


def steady(rate: float, **fields: Any) -> Measurement:
    """A run whose parts differ by about 1 %."""
    return measured(rates=[rate * (1 + 0.01 * (at % 3 - 1)) for at in range(21)], **fields)


def test_the_first_run_of_a_call_has_nothing_to_be_held_against(memory: RunMemory) -> None:
    assert against_last(steady(1000), memory) is None
    assert against_last(steady(1000), memory) is not None


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (1300.0, r"calls/s 1,000 → 1,300 (+30.0 %), better"),
        (700.0, r"calls/s 1,000 → 700 (-30.0 %), worse"),
        (1005.0, r"calls/s 1,000 → 1,005 (+0.5 %), within the noise"),
    ],
)
def test_a_run_is_better_worse_or_within_the_noise(memory: RunMemory, rate: float, said: str) -> None:
    memory.remember(steady(1000))
    assert said in (against_last(steady(rate), memory) or "")


def test_a_lower_percentile_is_better(memory: RunMemory) -> None:
    memory.remember(steady(1000))
    quick = steady(1000, latencies={1e-4: 1})
    quick = msgspec.structs.replace(
        quick, timeline=[msgspec.structs.replace(interval, p99=1e-4) for interval in quick.timeline]
    )
    assert "p99 2.01 ms → 100 µs (-95.0 %), better" in (against_last(quick, memory) or "")


def test_earlier_runs_say_how_much_runs_differ(memory: RunMemory) -> None:
    for rate in (1000, 1300, 900, 1250, 1000):
        memory.remember(steady(rate))
    assert "within the noise" in (against_last(steady(1250), memory) or "")


def test_one_lasting_change_is_no_noise(memory: RunMemory) -> None:
    for rate in (1000, 1001, 1002, 2000, 2001, 2002):
        memory.remember(steady(rate))
    assert "+25.0 %), better" in (against_last(steady(2502), memory) or "")


@given(st.lists(st.floats(0.001, 1e9), min_size=2, max_size=6), st.lists(st.floats(0.001, 1e9), min_size=2, max_size=6))
def test_noise_in_which_nothing_can_be_heard_is_no_figure(one: list[float], other: list[float]) -> None:
    for found in (noise(one, other), paired_noise(one, (other * 3)[: len(one)])):
        assert found is None or 0 < found <= 1


def test_a_run_that_is_too_short_is_not_judged(memory: RunMemory) -> None:
    memory.remember(measured(rates=[1000.0] * 3))
    assert "too short to tell from noise" in (against_last(measured(rates=[2000.0] * 3), memory) or "")


@pytest.mark.parametrize(
    "other",
    [
        {"plan": {"method": "pong"}},
        {"plan": {"params": {"a": 2}}},
        {"plan": {"connections": 9}},
        {"plan": {"pipeline": 2}},
        {"plan": {"rate": 1000.0}},
        {"model": "thread"},
        {"use": {"workers": 3}},
    ],
)
def test_another_call_is_not_compared_with(memory: RunMemory, other: dict[str, Any]) -> None:
    memory.remember(steady(1000))
    assert against_last(steady(1000, **other), memory) is None


def test_the_same_call_elsewhere_is(memory: RunMemory) -> None:
    memory.remember(steady(1000))
    assert against_last(steady(1000, plan={"target": "127.0.0.1:9999", "seconds": 9.0}), memory)


def test_runs_that_fail_differently_do_not_compare(memory: RunMemory) -> None:
    memory.remember(steady(1000))
    said = against_last(steady(3000, problems={"error -32000": 15_750}), memory)
    assert said
    assert "100.0 % of the calls went wrong, 0.0 % then" in said
    assert "better" not in said


def test_the_file_is_private_holds_no_params_and_does_not_grow(memory: RunMemory, tmp_path: Path) -> None:
    for number in range(205):
        memory.remember(measured(rates=[1000.0] * 12, plan={"params": {"token": "hunter22", "n": number % 2}}))
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"hunter22" not in file.read_bytes()
    assert len(msgspec.json.decode(file.read_bytes())) == 200


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b"{}", b"[" * 100_000, b" " * (2 << 20)])
def test_a_damaged_file_is_as_none(memory: RunMemory, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bench.json").write_bytes(content)
    assert against_last(steady(1000), memory) is None
    assert against_last(steady(1000), memory) is not None


def test_a_pipe_in_the_place_of_the_file_is_as_none(memory: RunMemory, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bench.json")
    assert against_last(steady(1000), memory) is None
    assert against_last(steady(1000), memory) is not None


def test_what_says_nothing_is_not_remembered(memory: RunMemory, tmp_path: Path) -> None:
    memory.remember(measured(rates=[1000.0] * 3, interrupted=True))
    memory.remember(measured(rates=(), latencies={}))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = RunMemory(lambda: tmp_path / "file" / "folder")
    assert against_last(steady(1000), memory) is None
