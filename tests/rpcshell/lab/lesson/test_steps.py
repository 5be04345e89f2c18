"""Each step, on its real servers: what it tells is what happened, and nothing of it is left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rpcshell.lab.lesson import measurements, steps
from rpcshell.lab.lesson.course import STEPS
from rpcshell.lab.lesson.english import TEXTS
from rpcshell.lab.lesson.lesson_server import LessonServer
from rpcwire.worker_models import MODELS
from tests.forks import Forks
from tests.rpcshell.lab.lesson.telling import Told
from tests.servers import needs_server

pytestmark = needs_server

Run = Callable[[str], Told]


@pytest.fixture
def run(state: Path, forked: Forks, monkeypatch: pytest.MonkeyPatch) -> Run:
    # As many calls as come in a quarter of what a user is shown.
    monkeypatch.setattr(measurements, "_CALLS", 0.03)

    def run(name: str) -> Told:
        told = Told(name)
        STEPS[name](told)
        assert not forked.running()
        assert list(state.glob("rpcshell/servers/*")) == []
        text = TEXTS.steps[name]
        assert {moment for moment, _ in told.moments} == text.moments.keys()
        assert len(told.times) == len(told.moments)
        assert told.times == sorted(told.times)
        return told

    return run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_worker_has_the_second_client_wait_for_the_first(run: Run) -> None:
    told = run("one_worker")
    while_held, afterwards = told.statuses
    assert (while_held.waiting, while_held.listeners[0].limit) == (1, 8)
    assert [(worker.connections, worker.call) for worker in while_held.workers] == [(1, None)]
    assert afterwards.waiting == 0
    assert told["left"]["after"] >= 0.4
    assert told.conclusion["waited"] >= told["left"]["after"]
    assert told.conclusion["service"] < 0.4
    assert not alive(told["started"]["pid"])


@pytest.mark.thorough
def test_ten_workers_share_connections(run: Run) -> None:
    told = run("ten_workers")
    assert len(told.counts) == 10
    assert sum(told.counts) == told["took"]["connections"] == 60
    assert sum(count > 0 for count in told.counts) > 1
    assert (told.conclusion["least"], told.conclusion["most"]) == (min(told.counts), max(told.counts))


@pytest.mark.thorough
def test_of_eleven_clients_on_ten_workers_one_waits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody has to go before the eleventh has been seen to wait.
    monkeypatch.setattr(steps, "_RECLAIM", 2.5)
    told = run("eleven_clients")
    eleventh, twelfth = told.statuses
    assert (eleventh.waiting, twelfth.waiting) == (1, 1)
    assert sum(worker.connections for worker in eleventh.workers) == 10
    assert told["left"] == {"client": 1}
    assert told["reclaimed"]["client"] != 1
    assert told.conclusion["left"] >= 0.2


def test_threads_let_all_in(run: Run) -> None:
    told = run("threads")
    (status,) = told.statuses
    assert (status.waiting, status.workers[0].connections) == (0, 11)
    assert told.conclusion["more"] >= 11
    assert told["grown"]["threads"] == told["started"]["threads"] + told.conclusion["more"]


def test_a_pool_parks_the_idle_and_turns_away_what_is_too_much(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the machine stands still for a moment, most of the calls are over before the others come.
    monkeypatch.setattr(steps, "_THREADS", 1)
    monkeypatch.setattr(steps, "_ROOM", 1)
    told = run("pool")
    assert told["parked"]["threads"] < told["parked"]["clients"] == told.statuses[0].workers[0].connections
    assert told["served"]["served"] + told["busy"]["busy"] == told["storm"]["clients"]
    assert told["busy"]["busy"] > 0
    assert told["busy"]["within"] < told["served"]["within"]


def test_a_loop_runs_many_calls_at_once_until_one_blocks_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # It lasts for longer than a busy machine needs to begin the call that waits for it.
    monkeypatch.setattr(steps, "_STANDSTILL", 1.5)
    told = run("event_loop")
    assert told["threads"]["threads"] < told["naps"]["clients"] == 40
    assert told["naps"]["seconds"] <= told["awake"]["took"] < told["awake"]["one_by_one"]
    assert told["stopped"]["waited"] > 0.1


@pytest.mark.thorough
def test_a_fork_for_each_connection_is_measured(run: Run) -> None:
    told = run("fork")
    pids = told["children"]["pids"].split()
    assert len(set(pids)) == 3
    assert str(told["started"]["pid"]) not in pids
    assert not any(alive(int(pid)) for pid in pids)
    assert float(told.conclusion["ratio"]) == pytest.approx(
        told["forked"]["took"] / told["preforked"]["took"], abs=0.06
    )


def test_a_killed_worker_takes_one_call_along_and_is_replaced(run: Run) -> None:
    told = run("killed_worker")
    before, after = told.statuses
    doomed, successor = told["calls"], told["successor"]
    assert told["killed"]["pid"] == doomed["pid"] in [worker.pid for worker in before.workers]
    assert successor["worker"] == doomed["worker"]
    assert successor["pid"] in [worker.pid for worker in after.workers]
    assert doomed["pid"] not in [worker.pid for worker in after.workers]
    assert not alive(doomed["pid"])
    assert told["others"]["worker"] != doomed["worker"] or told["others"]["took"] >= successor["took"] / 2
    assert successor["took"] > 0
    assert told.conclusion == {"died": 1, "lost": 1}


@pytest.mark.thorough
def test_a_reload_replaces_all_and_loses_nothing(run: Run) -> None:
    told = run("reload")
    old, new = (told[name]["pids"].split() for name in ("started", "reloaded"))
    assert len(old) == len(new) == 4
    assert set(old).isdisjoint(new)
    assert told.conclusion["lost"] == 0
    assert told.conclusion["calls"] > 2


@pytest.mark.thorough
def test_all_models_are_measured(run: Run) -> None:
    told = run("models")
    assert [row["model"] for row in told.rows] == list(MODELS)
    assert all(list(row) == list(TEXTS.columns) for row in told.rows)
    assert [row["idle"] for row in told.rows] == ["2/16", *["16/16"] * 4]


def test_a_step_that_fails_leaves_nothing_behind_either(state: Path, forked: Forks) -> None:
    with pytest.raises(KeyboardInterrupt), LessonServer(1) as server:  # noqa: PT012  (both have to be begun)
        server.client().call("ping")
        waiting = server.caller("ping")
        looping = server.looper()
        server.until(lambda status: status.waiting == 2)
        raise KeyboardInterrupt
    assert waiting.over
    assert looping.over
    assert not forked.running()
    assert list(state.glob("rpcshell/servers/*")) == []
