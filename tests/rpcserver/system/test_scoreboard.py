"""The scoreboard: what is written is read, across processes too, and nothing is lost when workers leave."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver import Peer, Service, WorkerInfo
from rpcserver.service.dispatch import Dispatcher
from rpcserver.system.process import Forker
from rpcserver.system.scoreboard import (
    ABSORBED,
    ACCEPTS,
    ACTIVE,
    ANSWERED,
    BEGAN,
    STARTED,
    Scoreboard,
    SlotBoard,
    SlotReading,
    SlotState,
)
from tests.models import some
from tests.rpcserver.calling import RUNNER
from tests.rpcserver.steering import Gate, steering
from tests.servers import running, until

INFO = WorkerInfo(worker=1, pid=1, generation=0, model="sync")


def dispatcher_on(board: SlotBoard, service: Service) -> Dispatcher:
    return Dispatcher(service, INFO, runner=RUNNER, board=board)


def test_a_worker_in_another_process_is_read() -> None:
    board = Scoreboard(4)
    index = board.take(number=3, generation=7)

    def worker() -> int:
        slot = board.slot(index)
        slot.tick()
        slot.connection_opened()
        slot.connection_opened()
        slot.connection_closed()
        service = Service.from_dict({"ping": lambda: None})
        dispatcher = dispatcher_on(slot, service)
        dispatcher.answer(b'{"in":"ping"}', Peer("x"))
        dispatcher.answer(b'{"in":"pong"}', Peer("x"))
        return 0

    before = time.monotonic_ns()
    child = Forker().fork(worker)
    board.set_pid(index, child.pid)
    board.set_state(index, SlotState.READY)
    os.waitid(os.P_PIDFD, child.fileno(), os.WEXITED)
    child.close()
    (reading,) = board.readings()
    after = time.monotonic_ns()
    assert (reading.number, reading.generation, reading.pid) == (3, 7, child.pid)
    assert reading.state is SlotState.READY
    assert before <= reading.tick <= reading.active <= after
    assert (reading.connections, reading.accepts) == (1, 2)
    assert (reading.requests, reading.errors, reading.running) == (2, 1, 0)
    assert reading.method == ""
    assert 0 < reading.busy_ns < after - before
    assert reading.bytes_in == len(b'{"in":"ping"}') * 2
    assert reading.bytes_out > 0


def test_a_call_that_begins_while_it_is_read_is_not_taken_for_an_older_one() -> None:
    board = Scoreboard(1)
    index = board.take(number=1, generation=0)

    def worker() -> int:
        cells = board.slot(index).cells
        # Numbers serve as times: call n begins at n.
        for number in range(1, 10**9):
            cells[BEGAN] = number
            cells[STARTED] = number
            cells[ANSWERED] = number
        return 0

    child = Forker().fork(worker)
    try:
        until(lambda: board.read(index).requests)
        answered = 0
        for _ in range(5000):
            reading = board.read(index)
            if reading.running:
                assert reading.request_began > answered
            answered = reading.requests
        assert answered
    finally:
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PIDFD, child.fileno(), os.WEXITED)
        child.close()


def test_a_request_is_seen_while_it_runs() -> None:
    seen: list[SlotReading] = []
    board = Scoreboard(1)
    index = board.take(number=1, generation=0)

    def look() -> None:
        seen.append(board.read(index))

    service = Service.from_dict({"user.look": look})
    before = time.monotonic_ns()
    dispatcher_on(board.slot(index), service).answer(b'{"in":"user.look"}', Peer("x"))
    assert seen[0].running == 1
    assert seen[0].method == "user.look"
    assert before <= seen[0].request_began <= time.monotonic_ns()
    assert board.read(index).running == 0


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_a_name_of_any_length_is_read_back_as_far_as_there_is_room(name: str) -> None:
    seen: list[str] = []
    board = Scoreboard(1)
    index = board.take(number=1, generation=0)
    slot = board.slot(index)
    slot.cells[4] = 1
    slot.method_began(name)
    seen.append(board.read(index).method)
    assert name.startswith(seen[0])
    assert len(seen[0].encode()) >= min(len(name.encode()), 61)


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"in":"missing"}', b'{"in":"f","params":{"x":1}}'])
def test_every_error_counts_as_one(body: bytes) -> None:
    board = Scoreboard(1)
    index = board.take(number=1, generation=0)
    service = Service.from_dict({"f": lambda: None})
    dispatcher = dispatcher_on(board.slot(index), service)
    dispatcher.answer(b'{"in":"f"}', Peer("x"))
    dispatcher.answer(body, Peer("x"))
    reading = board.read(index)
    assert (reading.requests, reading.errors) == (2, 1)


def test_what_has_left_stays_in_the_totals() -> None:
    board = Scoreboard(2)
    for number in (1, 2):
        index = board.take(number=number, generation=0)
        board.slot(index).connection_opened()
    assert board.vacate(0).accepts == 1
    assert board.totals().accepts == 2
    board.count_death(3)
    assert (board.totals().died, board.totals().lost) == (1, 3)
    assert [reading.number for reading in board.readings()] == [2]
    assert board.take(number=9, generation=1) == 0
    assert board.read(0).accepts == 0


def test_a_full_board_refuses() -> None:
    board = Scoreboard(1)
    board.take(number=1, generation=0)
    with pytest.raises(BlockingIOError):
        board.take(number=2, generation=0)
    with pytest.raises(IndexError):
        board.slot(1)


def test_children_are_added_up_and_taken_in() -> None:
    board = Scoreboard(2, children=3)
    index = board.take(number=1, generation=0)
    worker = board.slot(index)
    for number in range(3):
        worker.child(number).connection_opened()
    service = Service.from_dict({"f": lambda: None})
    dispatcher_on(worker.child(1), service).answer(b'{"in":"f"}', Peer("x"))
    reading = board.read(index)
    assert (reading.connections, reading.accepts, reading.requests) == (3, 3, 1)
    stuck = worker.child(2)
    stuck.cells[4] = 1
    stuck.method_began("stuck")
    assert (board.read(index).running, board.read(index).method) == (1, "stuck")
    for number in range(3):
        worker.absorb(number)
    reading = board.read(index)
    assert (reading.connections, reading.accepts, reading.requests, reading.running) == (0, 3, 1, 0)
    assert reading.lost == 1
    assert board.vacate(index).requests == 1
    totals = board.totals()
    assert (totals.accepts, totals.requests, totals.lost) == (3, 1, 1)
    with pytest.raises(IndexError):
        worker.child(3)


def test_a_board_of_many_slots_takes_no_memory_before_they_are_used() -> None:
    def shared() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("RssShmem:")[2].split()[0])

    before = shared()
    board = Scoreboard(2048, children=64)
    board.take(number=1, generation=0)
    assert shared() - before < 64


def test_calls_lost_to_a_crash_are_counted(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with running("-w", "2", folder=tmp_path) as server, steering(server) as arbiter, server.connect() as client:
        assert client.call("echo", 1).result == 1
        gate.hold(client)
        (busy,) = [worker for worker in arbiter.workers() if worker["call"]]
        assert busy["call"]["method"] == "gate"
        assert (busy["calls"], busy["connections"]) == (1, 1)
        arbiter.call("worker.kill", worker=busy["worker"])
        assert client.receive() is None
        status = arbiter.wait_until(lambda status: status["totals"]["died"] == 1)
        assert (status["totals"]["lost"], status["totals"]["calls"]) == (1, 1)
        assert "in a call of 'gate', which is lost" in server.wait_for_log("a new one starts")


def test_counts_on_their_way_from_a_child_to_its_worker_are_not_read_in_neither_place() -> None:
    board = Scoreboard(1, children=1)
    index = board.take(number=1, generation=0)
    child = board.slot(index).child(0)
    child.connection_opened()

    def to_and_fro() -> int:
        worker = board.slot(index)
        while True:
            worker.absorb(0)
            worker.cells[ABSORBED] += 1
            worker.cells[ACCEPTS] -= 1
            child.cells[ACCEPTS], child.cells[ACTIVE] = 1, 1
            worker.cells[ABSORBED] += 1
            at_rest = time.monotonic_ns() + 100_000
            while time.monotonic_ns() < at_rest:
                pass

    assert board.read(index).accepts == 1
    process = Forker().fork(to_and_fro)
    try:
        assert {board.read(index).accepts for _ in range(3000)} == {1}
    finally:
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PIDFD, process.fileno(), os.WEXITED)
        process.close()


def test_an_idle_workers_death_loses_no_call(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server, steering(server) as arbiter, server.connect() as client:
        assert client.call("echo", 1).result == 1
        arbiter.call("worker.kill", worker=1, signal="SEGV")
        arbiter.call("worker.kill", worker=2, signal="KILL")
        status = arbiter.wait_until(lambda status: status["totals"]["died"] == 2)
        assert status["totals"]["lost"] == 0
        assert status["totals"]["calls"] == 1


@pytest.mark.samples(2)
@pytest.mark.parametrize("model", some("sync", "pool", "async"))
def test_every_model_says_what_it_does(tmp_path: Path, model: str) -> None:
    gate = Gate(tmp_path)
    options = ("-w", "1", "--model", model)
    with running(*options, folder=tmp_path) as server, steering(server) as arbiter, server.connect() as client:
        assert client.call("echo", 1).result == 1
        assert client.call("nothing").fault is not None
        gate.hold(client)
        (worker,) = arbiter.workers()
        assert (worker["calls"], worker["errors"], worker["calls_running"]) == (2, 1, 1)
        assert (worker["accepts"], worker["connections"]) == (1, 1)
        assert worker["call"]["method"] == "gate"
        gate.release(client)
        client.close()
        status = arbiter.wait_until(lambda status: status["workers"][0]["connections"] == 0)
        assert status["workers"][0]["calls"] == 3
        assert status["workers"][0]["bytes_in"] == status["totals"]["bytes_in"] > 0
