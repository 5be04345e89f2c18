from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.top.feed import Tracker
from rpcwire.control import TotalStatus
from tests.rpcshell.lab.top.making import a_server, a_worker


def test_at_first_no_rate_is_known() -> None:
    picture = Tracker().add(a_server([a_worker(1, calls=500, busy=0.25)]))
    assert picture.rate is None
    assert picture.workers[0].rate is None
    assert picture.workers[0].busy == 0.25
    assert picture.workers[0].history == ()


def test_rates_are_of_the_servers_own_time() -> None:
    tracker = Tracker()
    tracker.add(a_server([a_worker(1, calls=100, busy_seconds=1.0), a_worker(2)], uptime=50.0))
    picture = tracker.add(a_server([a_worker(1, calls=400, busy_seconds=1.25), a_worker(2)], uptime=50.5))
    assert [line.rate for line in picture.workers] == [600.0, 0.0]
    assert [line.busy for line in picture.workers] == [0.5, 0.0]
    assert picture.rate == 600.0
    assert picture.history == picture.workers[0].history == (600.0,)


def test_figures_are_of_two_seconds_and_the_history_of_every_look() -> None:
    tracker = Tracker()
    for look in range(6):
        tracker.add(a_server([a_worker(1)], uptime=10 + look / 2))
    picture = tracker.add(a_server([a_worker(1, calls=400)], uptime=13.0))
    assert picture.rate == 200.0
    assert picture.history == (0, 0, 0, 0, 0, 800.0)


def test_looks_right_after_each_other_make_no_noise() -> None:
    tracker = Tracker()
    tracker.add(a_server([a_worker(1)], uptime=10.0))
    tracker.add(a_server([a_worker(1, calls=100)], uptime=11.0))
    picture = tracker.add(a_server([a_worker(1, calls=101)], uptime=11.001))
    assert picture.history == (100.0,)
    assert picture.status.workers[0].calls == 101


def test_a_worker_that_is_born_meanwhile_began_with_nothing() -> None:
    tracker = Tracker()
    tracker.add(a_server([a_worker(1, pid=7)], uptime=10.0))
    picture = tracker.add(a_server([a_worker(1, pid=8, calls=30, age=0.3)], uptime=10.5))
    assert picture.workers[0].rate == pytest.approx(100.0)


@pytest.mark.parametrize("change", [{"pid": 4}, {"uptime": 1.0}])
def test_of_another_server_nothing_is_known_yet(change: dict[str, object]) -> None:
    tracker = Tracker()
    tracker.add(a_server([a_worker(1, calls=100)], uptime=10.0))
    picture = tracker.add(a_server([a_worker(1, calls=5)], **{"uptime": 11.0, **change}))  # type: ignore[arg-type]
    assert picture.rate is None
    assert picture.workers[0].history == ()


@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 5.0),
            st.dictionaries(st.integers(1, 4), st.tuples(st.integers(0, 10_000), st.integers(1, 3)), max_size=4),
        ),
        max_size=12,
    )
)
def test_whatever_workers_come_and_go_no_rate_is_negative_or_too_high(
    looks: list[tuple[float, dict[int, tuple[int, int]]]],
) -> None:
    tracker = Tracker()
    uptime, done, counts = 100.0, 0, dict[int, int]()
    for pause, workers in looks:
        uptime += pause
        told = []
        for number, (calls, process) in workers.items():
            pid = number * 10 + process
            counts[pid] = counts.get(pid, 0) + calls
            done += calls
            told.append(a_worker(number, pid=pid, calls=counts[pid], age=uptime))
        picture = tracker.add(a_server(told, uptime=uptime, totals=TotalStatus(calls=done)))
        assert len(picture.workers) == len(told)
        for line in picture.workers:
            assert all(rate >= 0 for rate in line.history)
            assert line.rate is None or 0 <= line.rate <= max(line.history, default=0) + 1e-6
        assert picture.rate is None or 0 <= picture.rate <= max(picture.history) + 1e-6
