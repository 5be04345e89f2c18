"""`--preload`: one stem imports the app, workers come of it and are the arbiter's, whatever becomes of the stem."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.models import of_each_kind
from tests.rpcserver.arbiter.test_reload import held_app, rewrite
from tests.rpcserver.steering import Gate, steering
from tests.servers import PATIENCE, PROBE_APP, Server, all_gone, launched, running, watched

PRELOADED_APP = f"""{PROBE_APP}
import random, sys
LOADED_BY = os.getpid()

@service.on_preload
def note() -> None:
    sys.modules["preloaded_by"] = os.getpid()

@service.method
def origin() -> list:
    return [os.getpid(), LOADED_BY, sys.modules["preloaded_by"], os.getppid(), random.random()]
"""

READING_APP = f"""{PROBE_APP}
READ_BY = []

def kind() -> type:
    READ_BY.append(os.getpid())
    return int

@service.method
def reads(_: "kind()" = 0) -> list:
    return READ_BY
"""

FAILING_HOOK = """
from rpcserver import Service
service = Service("failing")

@service.on_preload
def warm() -> None:
    raise RuntimeError("no model")
"""


def stems_of(server: Server) -> list[int]:
    """The pids of a server's stems, as ps(1) finds them."""
    return [pid for pid in server.workers() if _name_of(pid) == "rpcserver-stem"]


def _name_of(pid: int) -> str:
    """The name of a process; nothing where it has gone since it was listed."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def origins(server: Server, workers: int) -> list[list[Any]]:
    """What each worker of a sync server says of itself."""
    clients = [server.connect() for _ in range(workers)]
    found = [client.call("origin").result for client in clients]
    for client in clients:
        client.close()
    return found


def test_the_app_is_imported_once_and_every_worker_is_the_arbiters_own_child(tmp_path: Path) -> None:
    with running("-w", "3", "--preload", folder=tmp_path, app=PRELOADED_APP) as server, steering(server) as arbiter:
        [stem] = stems_of(server)
        workers = {worker["pid"] for worker in arbiter.workers()}
        assert set(server.workers()) == workers | {stem}
        found = origins(server, 3)
        assert {origin[0] for origin in found} == workers
        assert {tuple(origin[1:4]) for origin in found} == {(stem, stem, server.pid)}
        assert len({origin[4] for origin in found}) == 3
        assert f"[stem {stem}] the app is loaded" in server.log()
        status = arbiter.status()
        [told] = status["stems"]
        assert (told["pid"], told["generation"], told["state"]) == (stem, 0, "ready")
        for process in (told, *status["workers"]):
            assert process["pss"] is None or 0 < process["uss"] <= process["pss"] < process["memory"]
        # A service manager may send it to every process; how they leave is the arbiter's to say.
        os.kill(stem, signal.SIGTERM)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "WARNING" not in server.log()


@of_each_kind
def test_what_methods_take_is_read_once_by_the_stem(tmp_path: Path, model: str) -> None:
    with (
        running("-w", "2", "-m", model, "--preload", folder=tmp_path, app=READING_APP) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        [stem] = stems_of(server)
        assert [client.call("reads").result for client in (first, second)] == [[stem], [stem]]


@of_each_kind
def test_a_stem_that_is_killed_costs_no_call_and_is_mended(tmp_path: Path, model: str) -> None:
    gate = Gate(tmp_path)
    with (
        running("-w", "2", "-m", model, "--preload", folder=tmp_path, app=PRELOADED_APP) as server,
        steering(server) as arbiter,
        server.connect() as client,
    ):
        gate.hold(client)
        [stem] = stems_of(server)
        before = arbiter.ready(2)
        os.kill(stem, signal.SIGKILL)
        server.wait_for_log("the app is loaded", times=2)
        gate.release(client)
        assert arbiter.ready(2) == before
        # Its orphans are the arbiter's to supervise, and new ones come of the new stem.
        arbiter.call("worker.kill", worker=1)
        after = arbiter.ready(2, gone=before[0])
        assert after[1] == before[1]
        server.wait_for_log(f"worker 1 (pid {before[0]}) was killed by SIGKILL; a new one starts")
        [mended] = stems_of(server)
        assert mended != stem
        assert arbiter.status()["totals"]["died"] == 1
        kinds = [event["kind"] for event in arbiter.call("arbiter.events")["events"]]
        assert (kinds.count("stem_ready"), kinds.count("stem_died")) == (2, 1)


def test_nothing_outlives_a_killed_arbiter(tmp_path: Path) -> None:
    with running("-w", "2", "--preload", folder=tmp_path) as server, watched(server.workers()) as processes:
        assert len(processes) == 3
        server.signal(signal.SIGKILL)
        assert all_gone(processes, PATIENCE)


def test_a_reload_makes_a_new_stem_and_the_old_one_leaves_after_its_workers(tmp_path: Path) -> None:
    at_exit = f"import atexit, pathlib\natexit.register(lambda: pathlib.Path({str(tmp_path)!r}, 'over').touch())\n"
    gate = Gate(tmp_path)
    with (
        running("-w", "2", "--preload", folder=tmp_path, app=PRELOADED_APP + at_exit) as server,
        steering(server) as arbiter,
        server.connect() as client,
    ):
        gate.hold(client, close=True)
        stems = stems_of(server)
        rewrite(tmp_path, PRELOADED_APP)
        assert arbiter.call("arbiter.reload") == {"generation": 1}
        server.wait_for_log("reloaded: 2 workers of generation 1")
        assert set(stems) < set(stems_of(server))
        assert not (tmp_path / "over").exists()
        with watched(stems) as old:
            gate.release(client)
            assert all_gone(old, PATIENCE)
        assert (tmp_path / "over").exists()
        # The old one may not be reaped yet.
        [new] = set(stems_of(server)) - set(stems)
        assert {tuple(origin[1:3]) for origin in origins(server, 2)} == {(new, new)}


def test_code_that_does_not_import_keeps_the_old_stem_and_says_why_once(tmp_path: Path) -> None:
    with running("-w", "2", "--preload", folder=tmp_path, app=PRELOADED_APP) as server, steering(server) as arbiter:
        stems, workers = stems_of(server), arbiter.ready(2)
        rewrite(tmp_path, "def deep():\n    raise RuntimeError('no database')\n\ndeep()\n")
        server.signal(signal.SIGHUP)
        server.wait_for_log("the reload has failed, the workers that serve now stay")
        status = arbiter.status()
        assert (status["generation"], status["reloading"]) == (0, False)
        assert "no database" in status["reload_problem"]
        assert server.log().count("Traceback") == 1
        # The old stem has the old code, and its workers' replacements do too.
        arbiter.call("worker.kill", worker=1)
        assert arbiter.ready(2, gone=workers[0])[1] == workers[1]
        assert {origin[1] for origin in origins(server, 2)} == set(stems)
        rewrite(tmp_path, PRELOADED_APP)
        server.signal(signal.SIGHUP)
        server.wait_for_log("reloaded: 2 workers of generation 1")


def test_new_workers_that_do_not_start_bring_the_old_stem_back(tmp_path: Path) -> None:
    fails = "\n@service.on_worker_start\ndef connect():\n    raise RuntimeError('no database')\n"
    with running("-w", "2", "--preload", folder=tmp_path, app=PRELOADED_APP) as server, steering(server) as arbiter:
        stems, workers = stems_of(server), arbiter.ready(2)
        rewrite(tmp_path, PRELOADED_APP + fails)
        server.signal(signal.SIGHUP)
        server.wait_for_log("the reload has failed, the workers that serve now stay")
        assert arbiter.status()["generation"] == 0
        arbiter.call("worker.kill", worker=2)
        assert arbiter.ready(2, gone=workers[1])[0] == workers[0]
        assert {origin[1] for origin in origins(server, 2)} == set(stems)


@pytest.mark.thorough
def test_a_log_that_is_opened_again_is_the_stems_and_its_new_workers_too(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    options = ("-w", "1", "--preload", "--log-file", str(log))
    with running(*options, folder=tmp_path, app=PRELOADED_APP) as server, steering(server) as arbiter:
        [former] = arbiter.ready(1)
        log.rename(tmp_path / "old.log")
        server.signal(signal.SIGUSR1)
        arbiter.wait_until(lambda _: log.exists())
        arbiter.call("worker.kill", worker=1)
        [worker] = arbiter.ready(1, gone=former)
        arbiter.call("worker.kill", worker=1, signal="ABRT")
        arbiter.ready(1, gone=worker)
        assert "Fatal Python error: Aborted" in log.read_text()
        assert "Fatal" not in (tmp_path / "old.log").read_text()


@pytest.mark.thorough
def test_what_a_stem_dies_of_forking_is_forked_by_the_next_one(tmp_path: Path) -> None:
    gate, switch = Gate(tmp_path), tmp_path / "switch"
    hook = f"""
def hold() -> None:
    if os.path.exists({str(switch)!r}):
        gate({str(gate.entered)!r}, {str(gate.leave)!r})

os.register_at_fork(before=hold)
"""
    with (
        running("-w", "2", "--preload", folder=tmp_path, app=PRELOADED_APP + hook) as server,
        steering(server) as arbiter,
    ):
        workers, [stem] = arbiter.ready(2), stems_of(server)
        switch.touch()
        arbiter.call("worker.kill", worker=1)
        gate.wait()
        switch.unlink()
        os.kill(stem, signal.SIGKILL)
        assert arbiter.ready(2, gone=workers[0])[1] == workers[1]
        assert "worker 1 did not start" not in server.log()


@pytest.mark.thorough
@pytest.mark.parametrize("generation", [0, 1], ids=["the new one dies", "the former one dies"])
def test_a_reload_that_fails_goes_back_where_the_former_stem_is_still_there(generation: int, tmp_path: Path) -> None:
    gate, switch = Gate(tmp_path), tmp_path / "switch"
    hook = f"""
@service.on_worker_start
def connect():
    if os.path.exists({str(switch)!r}):
        gate({str(gate.entered)!r}, {str(gate.leave)!r})
        raise RuntimeError("no database")
"""
    with running("-w", "2", "--preload", folder=tmp_path, app=PRELOADED_APP) as server, steering(server) as arbiter:
        workers, [former] = arbiter.ready(2), stems_of(server)
        switch.touch()
        rewrite(tmp_path, PRELOADED_APP + hook)
        server.signal(signal.SIGHUP)
        gate.wait()
        [new] = set(stems_of(server)) - {former}
        with watched([victim := former if generation else new]) as process:
            os.kill(victim, signal.SIGKILL)
            assert all_gone(process, PATIENCE)
        arbiter.wait_until(
            lambda status: (
                victim not in (stems := [stem["pid"] for stem in status["stems"]])
                and all(stem["state"] == "ready" for stem in status["stems"])
                and len(stems) == 2 - generation
            )
        )
        gate.open()
        server.wait_for_log("the reload has failed, the workers that serve now stay")
        switch.unlink()
        assert arbiter.status()["generation"] == generation
        arbiter.call("worker.kill", worker=1)
        assert arbiter.ready(2, gone=workers[0])[1] == workers[1]
        assert {worker["generation"] for worker in arbiter.workers()} == {0, generation}
        assert arbiter.stem() == (new if generation else former)


@pytest.mark.parametrize(
    ("app", "options", "said"),
    [
        ("def deep():\n    raise RuntimeError('no database')\n\ndeep()\n", [], "RuntimeError: no database"),
        (FAILING_HOOK, [], "RuntimeError: no model"),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
            [],
            "was killed by SIGSEGV before the app was loa",
        ),
        ("import threading\nthreading.Event().wait()\n", ["--start-timeout", "0.5"], "raise --start-timeout"),
    ],
    ids=["raises", "hook", "crashes", "hangs"],
)
def test_an_app_that_cannot_be_loaded_ends_the_start(tmp_path: Path, app: str, options: list[str], said: str) -> None:
    (tmp_path / "broken.py").write_text(app)
    arguments = ["-w", "2", "--preload", "--bind", "127.0.0.1:0", *options, "broken.py"]
    with launched(*arguments, cwd=tmp_path) as server:
        event = server.event()
        assert said in event["message"]
        assert server.wait() == 3
        assert said in server.log()
        assert ("most recent call first" in server.log()) != ("RuntimeError" in said)


def test_a_stem_that_cannot_be_mended_is_tried_again(tmp_path: Path) -> None:
    with running("-w", "2", "--preload", folder=tmp_path, app=PRELOADED_APP) as server, steering(server) as arbiter:
        workers = arbiter.ready(2)
        rewrite(tmp_path, "raise RuntimeError('no database')\n")
        os.kill(stems_of(server)[0], signal.SIGKILL)
        server.wait_for_log("no worker can be started: ")
        assert "no database; the next try is in 0.5 s" in server.log()
        # A worker that is wanted meanwhile waits for the stem.
        arbiter.call("worker.kill", worker=1)
        rewrite(tmp_path, PRELOADED_APP)
        assert arbiter.ready(2, gone=workers[0])[1] == workers[1]


def test_a_server_that_stops_while_its_app_is_loaded_leaves_nothing(tmp_path: Path) -> None:
    gate, switch = Gate(tmp_path), tmp_path / "switch"
    app = held_app(gate, switch) + PRELOADED_APP
    with running("-w", "2", "--preload", folder=tmp_path, app=app) as server:
        switch.touch()
        server.signal(signal.SIGHUP)
        gate.wait()
        with watched(server.workers()) as processes:
            assert len(processes) == 4
            server.signal(signal.SIGTERM)
            assert all_gone(processes, PATIENCE)
            assert server.wait() == 0
        assert "WARNING" not in server.log()


def test_workers_are_scaled_and_replaced_after_their_requests(tmp_path: Path) -> None:
    options = ("-w", "1", "--preload", "--max-requests", "2")
    with running(*options, folder=tmp_path, app=PRELOADED_APP) as server, steering(server) as arbiter:
        [worker] = arbiter.ready(1)
        with server.connect() as client:
            client.call("echo", 1)
            client.call("echo", 2)
        arbiter.ready(1, gone=worker)
        arbiter.call("arbiter.scale", workers=3)
        arbiter.ready(3)
        arbiter.call("arbiter.scale", workers=1)
        arbiter.ready(1)
        assert arbiter.status()["totals"]["died"] == 0
