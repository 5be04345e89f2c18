"""Where the system has no process left for all the workers: fewer serve, a line says so, and it is tried again.

What is imported late elsewhere is imported here: another user may not read the folders of this Python.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcserver.testing import RunningServer, ServerFailed, serve
from rpcserver.workers import load_model
from tests.poverty import Room, few_processes, in_a_child

for late in ("encodings.idna", "rpcserver.run", "rpcserver.arbiter.stems", "rpcserver.workers.stem"):
    importlib.import_module(late)
for model in ("sync", "pool", "async"):
    load_model(model)

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a user without any process")
SHORTAGE = "cannot be started: the limits of processes allow no more (ulimit -u, pids.max): "


def pid(params: object) -> int:
    return os.getpid()


@contextmanager
def serving(room: Room, workers: int, app: Any = None, **settings: Any) -> Iterator[RunningServer]:
    """A server that has as many workers as there is room for."""
    with serve(app or {"pid": pid}, workers=workers, **settings) as server:
        yield server
        assert "Traceback" not in server.log()


def crowded(children: int, main: Callable[[Room], object]) -> None:
    room = Room(children)
    in_a_child(lambda: main(room), room.prepare)


def test_a_server_starts_with_the_workers_that_there_is_room_for_and_adds_the_others_later() -> None:
    def main(room: Room) -> None:
        with serving(room, 4) as server:
            assert server.call("pid") in server.workers
            assert len(server.workers) == 2
            room.children = 4
            server.wait_for_log("worker 3 is ready")
            server.wait_for_log("worker 4 is ready")
            assert len(server.workers) == 4
            log = server.log()
        assert "2 of 4 workers (sync)" in log
        assert log.count(SHORTAGE + "the server goes on with those that it has, and tries again") == 1
        assert log.count("cannot be started") == 1

    crowded(2, main)


@pytest.mark.thorough
def test_a_server_that_is_told_to_have_more_workers_than_there_is_room_for_says_so_once() -> None:
    def main(room: Room) -> None:
        with serving(room, 2) as server:
            for workers in (3, 4):
                server.signal(signal.SIGTTIN)
                server.wait_for_log(f"scaling from {workers - 1} to {workers}")
            server.wait_for_log("cannot be started")
            room.children = 4
            server.wait_for_log("worker 3 is ready")
            server.wait_for_log("worker 4 is ready")
            assert server.log().count("cannot be started") == 1

    crowded(2, main)


@pytest.mark.thorough
def test_a_worker_that_died_comes_back_once_there_is_room() -> None:
    def main(room: Room) -> None:
        with serving(room, 2) as server:
            room.children = 1
            os.kill(server.workers[0], signal.SIGKILL)
            server.wait_for_log("cannot be started")
            assert server.call("pid") in server.workers
            room.children = 2
            server.wait_for_log("worker [12] is ready")

    crowded(2, main)


def test_a_reload_without_room_for_one_more_has_each_worker_leave_before_its_successor_starts() -> None:
    def main(room: Room) -> None:
        with serving(room, 3) as server:
            old = server.workers
            server.signal(signal.SIGHUP)
            server.wait_for_log("reloaded: 3 workers of generation 1")
            assert not set(old) & set(server.workers)
            assert len(server.workers) == 3
            assert server.log().count("cannot be started") == 1
            assert SHORTAGE + "workers leave before others start in their place" in server.log()

    crowded(3, main)


def test_the_only_worker_stays_where_there_is_no_room_for_its_successor() -> None:
    def main(room: Room) -> None:
        with serving(room, 1) as server:
            old = server.workers
            server.signal(signal.SIGHUP)
            server.wait_for_log("the reload has failed, the workers that serve now stay: worker 1 cannot be started")
            assert [server.call("pid")] == old

    crowded(1, main)


@pytest.mark.thorough
def test_a_reload_without_room_that_fails_keeps_the_workers_that_there_are(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    text = "import os\nfrom rpcserver import Service\nservice = Service('app')\nservice.method(os.getpid, name='pid')\n"
    app.write_text(text)

    def main(room: Room) -> None:
        with serving(room, 3, str(app)) as server:
            old = server.workers
            app.write_text("no Python")
            server.signal(signal.SIGHUP)
            server.wait_for_log("the reload has failed, the workers that serve now stay: ")
            assert server.call("pid") in old
            app.write_text(text)
            server.signal(signal.SIGHUP)
            server.wait_for_log("reloaded: 3 workers of generation 1")
            assert not set(old) & set(server.workers)

    crowded(3, main)


@pytest.mark.thorough
def test_workers_that_have_answered_enough_are_replaced_without_room_for_one_more() -> None:
    def main(room: Room) -> None:
        with serving(room, 2, max_requests=3) as server:
            old = server.workers
            with server.connect() as client:
                while client.call("pid") in old:
                    pass
            assert SHORTAGE + "workers leave before others start in their place" in server.log()

    crowded(2, main)


@pytest.mark.samples(1)
@only_root
@pytest.mark.parametrize("workers", [1, 3])
def test_a_server_without_room_for_any_worker_says_why_it_does_not_start(workers: int) -> None:
    def lonely() -> None:
        with pytest.raises(ServerFailed) as failed, serve({"pid": pid}, workers=workers):
            pass
        assert failed.value.message == f"worker 1 {SHORTAGE.removesuffix(': ')}"
        assert not failed.value.log

    # This process and the arbiter are two.
    in_a_child(lonely, few_processes(2))


@pytest.mark.samples(2)
@only_root
@pytest.mark.parametrize(
    ("model", "processes", "serves", "preload"),
    [
        ("sync", 6, "2 of 4 workers", True),
        ("sync", 4, "2 of 4 workers", False),
        ("pool", 5, "1 of 4", False),
        ("async", 4, "1 of 4", False),
    ],
)
def test_a_user_who_may_have_few_processes_gets_a_server_with_fewer_workers(
    model: str, processes: int, serves: str, preload: bool
) -> None:
    def lonely() -> None:
        # Threads count as well.
        with serve({"pid": pid}, model=model, workers=4, preload=preload) as server:
            assert server.call("pid") in server.workers
            log = server.log()
        assert serves in log
        assert log.count("cannot be started") + log.count("the worker cannot start") == 1
        assert "Traceback" not in log

    in_a_child(lonely, few_processes(processes))
