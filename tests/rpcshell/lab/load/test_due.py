"""When calls at a rate are due, and how many of them before a moment: what was not sent of these is told of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.load.messages import Task

SECOND = 1_000_000_000


@given(st.integers(1, 30_000), st.integers(1, 4), st.integers(0, 3), st.integers(1, 50))
def test_calls_are_counted_to_the_last_one_that_is_due(rate: int, processes: int, number: int, tenths: int) -> None:
    shift = number % processes / rate
    task = Task(target="", body=b"", first=b"", connections=1, rate=rate / processes, shift=shift)
    moment = tenths * SECOND // 10
    count = task.due_before(moment)
    assert count == 0 or task.due(count - 1) < moment
    assert task.due(count) >= moment


def test_a_call_that_is_due_at_the_end_is_not_counted() -> None:
    # A part of 30 calls a second that two processes share: due after 33 ms and 100 ms.
    task = Task(target="", body=b"", first=b"", connections=1, rate=15.0, shift=1 / 30)
    assert task.due_before(SECOND // 10) == 1
