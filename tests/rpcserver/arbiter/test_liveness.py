"""Workers whose loop stands still, told from those that are busy, in every model."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rpcserver.arbiter.liveness import STALLED_AFTER, Liveness
from rpcserver.system.scoreboard import SlotState
from rpcwire.worker_models import MODELS
from tests.models import EACH_KIND
from tests.rpcserver.arbiter.test_watchdog import SECOND, reading
from tests.rpcserver.ops.series import of_worker
from tests.rpcserver.ops.test_metrics_served import metrics_address, scraped
from tests.rpcserver.steering import Gate, steering
from tests.servers import PROBE_APP, Client, Server, running

BLOCKING_APP = (
    PROBE_APP
    + """
@service.method
async def blocking_gate(entered: str, leave: str) -> str:
    return gate(entered, leave)
"""
)
MEASURED = "async"
TICK = 100 * SECOND
LATE = TICK + STALLED_AFTER


@dataclass(frozen=True)
class Standing:
    """A server with a worker that shall stall, and a client whose call keeps another one busy."""

    server: Server
    victim: int
    busy: int
    client: Client
    gate: Gate


@pytest.fixture(scope="module", autouse=True)
def standing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Standing]]:
    """A server of each kind that this run looks at; three seconds must pass, for all of them at once."""
    folder = tmp_path_factory.mktemp("liveness")
    with contextlib.ExitStack() as stack:
        found = {}
        for name in names_in(request.session):
            model = name.partition(" ")[0]
            metrics = ("--metrics", "127.0.0.1:0") if name == MEASURED else ()
            server = stack.enter_context(running("-m", model, "-w", "2", *metrics, app=BLOCKING_APP, folder=folder))
            client = stack.enter_context(server.connect())
            gate = Gate(folder, name)
            worker = called_in(client, "gate", gate, server)
            victim = next(pid for pid in pids(server) if pid != worker)
            if name == "sync in a call":
                called_in(stack.enter_context(server.connect()), "gate", Gate(folder, "other"), server)
            if name == "async blocked":
                # Whichever worker has the first call: its loop is what stalls.
                victim, worker = worker, victim
                gate.open()
                client.reply()
                client.send("blocking_gate", gate.params)
                gate.wait()
            else:
                os.kill(victim, signal.SIGSTOP)
            found[name] = Standing(server, victim, worker, client, gate)
        yield found


def names_in(session: pytest.Session) -> list[str]:
    """For which servers there are tests in this run."""
    tests = [item for item in session.items if item.path == Path(__file__) and isinstance(item, pytest.Function)]
    return [
        str(item.callspec.params["name"])
        for item in tests
        if "standing" in item.fixturenames and "name" in item.fixturenames
    ]


def pids(server: Server) -> list[int]:
    with steering(server) as arbiter:
        return [worker["pid"] for worker in arbiter.workers()]


def called_in(client: Client, method: str, gate: Gate, server: Server) -> int:
    """Begin a call that stays in its handler, and return the pid of its worker."""
    before = client.call("echo", meta=True).meta
    assert before is not None
    client.send(method, gate.params)
    gate.wait()
    with steering(server) as arbiter:
        return int(next(worker["pid"] for worker in arbiter.workers() if worker["worker"] == before.worker))


def stalled(status: dict[str, Any]) -> list[int]:
    return [worker["pid"] for worker in status["workers"] if worker["stalled"]]


@pytest.mark.samples(2)
@pytest.mark.parametrize("model", MODELS)
def test_a_ready_worker_that_does_not_tick_is_stalled(model: str) -> None:
    liveness = Liveness(model)
    assert not liveness.is_stalled(reading(tick=TICK), LATE - 1)
    assert liveness.is_stalled(reading(tick=TICK), LATE)
    assert liveness.silent_for(reading(tick=TICK), LATE) == STALLED_AFTER


@pytest.mark.parametrize("state", [state for state in SlotState if state is not SlotState.READY])
def test_one_that_is_not_ready_is_not_stalled(state: SlotState) -> None:
    assert not Liveness("async").is_stalled(reading(state=state, tick=0), LATE)
    assert Liveness("async").silent_for(reading(state=state, tick=0), LATE) is None


@pytest.mark.parametrize("model", MODELS)
def test_a_call_keeps_only_a_sync_worker_from_ticking(model: str) -> None:
    busy = reading(pid=os.getpid(), tick=TICK, running=1, request_began=TICK, method="slow")
    assert Liveness(model).is_stalled(busy, LATE) is (model != "sync")


def test_a_sync_worker_is_heard_at_the_end_of_a_call_too() -> None:
    assert not Liveness("sync").is_stalled(reading(tick=TICK, active=LATE), LATE)
    assert Liveness("thread").is_stalled(reading(tick=TICK, active=LATE), LATE)


def test_nobody_is_blamed_for_the_time_in_which_the_arbiter_could_not_look() -> None:
    liveness = Liveness("async")
    liveness.begin_anew(LATE)
    assert not liveness.is_stalled(reading(tick=TICK), LATE + 1)
    assert liveness.is_stalled(reading(tick=TICK), LATE + STALLED_AFTER)


@pytest.mark.parametrize("name", [*EACH_KIND, "sync in a call", "async blocked"])
def test_a_stalled_worker_is_told_from_a_busy_one_until_it_goes_on(name: str, standing: dict[str, Standing]) -> None:
    found = standing[name]
    log = found.server.wait_for_log("is stalled")
    with steering(found.server) as arbiter:
        status = arbiter.status()
        assert stalled(status) == [found.victim]
        number, other = (
            next(worker["worker"] for worker in status["workers"] if worker["pid"] == pid)
            for pid in (found.victim, found.busy)
        )
        assert {worker["state"] for worker in status["workers"]} == {"ready"}
        if name == MEASURED:
            metrics = scraped(metrics_address(found.server))
            assert metrics["rpcserver_worker_stalled", of_worker(number)] == 1
            assert metrics["rpcserver_worker_stalled", of_worker(other)] == 0
        assert f"worker {number} (pid {found.victim}) is stalled" in log
        os.kill(found.victim, signal.SIGCONT)
        found.gate.open()
        assert found.client.reply().result == "through"
        found.server.wait_for_log(f"(pid {found.victim}) is not stalled any more")
        assert stalled(arbiter.status()) == []
        kinds = [event["kind"] for event in arbiter.call("arbiter.events", after=0)["events"]]
        assert kinds.count("stalled") == kinds.count("recovered") == 1
