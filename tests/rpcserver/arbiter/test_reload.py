"""Reloading: new code, no lost call, and old workers that stay where the new code is broken."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from rpcwire import Goodbye, Reply
from tests.rpcserver.steering import Gate, steering
from tests.servers import PATIENCE, PROBE_APP, Server, all_gone, launched, running, watched


def version_app(version: str) -> str:
    return f"{PROBE_APP}\n@service.method\ndef version() -> str:\n    return {version!r}\n"


def held_app(gate: Gate, switch: Path) -> str:
    """What makes the import of an app wait at a gate, while there is a file."""
    return (
        f"import os\nif os.path.exists({str(switch)!r}):\n"
        f"    with open({str(gate.entered)!r}, 'wb', buffering=0) as file:\n        file.write(b'.')\n"
        f"    with open({str(gate.leave)!r}, 'rb', buffering=0) as file:\n        file.read(1)\n"
    )


def rewrite(folder: Path, source: str) -> None:
    """Change the app as an editor does, so that no worker reads half of it."""
    (folder / "new.py").write_text(source)
    (folder / "new.py").rename(folder / "probe.py")


def test_workers_run_the_code_as_it_is_now(tmp_path: Path) -> None:
    with running("-w", "3", folder=tmp_path, app=version_app("one")) as server, steering(server) as arbiter:
        before = set(server.workers())
        rewrite(tmp_path, version_app("the second"))
        server.signal(signal.SIGHUP)
        server.wait_for_log("reloaded: 3 workers of generation 1")
        status = arbiter.wait_until(lambda status: len(status["workers"]) == 3)
        assert [worker["generation"] for worker in status["workers"]] == [1, 1, 1]
        assert [worker["worker"] for worker in status["workers"]] == [1, 2, 3]
        assert before.isdisjoint(server.workers())
        assert (status["generation"], status["reloading"], status["reload_problem"]) == (1, False, None)
        with server.connect() as client:
            reply = client.call("version", meta=True)
            assert reply.result == "the second"
            assert reply.meta is not None
            assert reply.meta.generation == 1


def test_a_new_worker_is_ready_before_an_old_one_leaves(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    switch = tmp_path / "switch"
    with (
        running("-w", "2", folder=tmp_path, app=held_app(gate, switch) + PROBE_APP) as server,
        steering(server) as arbiter,
    ):
        old = set(server.workers())
        switch.touch()
        assert arbiter.call("arbiter.reload") == {"generation": 1}
        gate.wait()
        status = arbiter.status()
        assert len(status["workers"]) == 3
        assert [worker["state"] for worker in status["workers"]].count("ready") == 2
        assert status["reloading"]
        assert old < set(server.workers())
        with server.connect() as client:
            assert client.call("pid").result in old
        switch.unlink()
        gate.open()
        server.wait_for_log("reloaded:")


def test_code_that_does_not_import_keeps_the_old_workers_and_says_why_once(tmp_path: Path) -> None:
    with running("-w", "3", folder=tmp_path) as server, steering(server) as arbiter:
        old = sorted(server.workers())
        rewrite(tmp_path, "def deep():\n    raise RuntimeError('no database')\n\ndeep()\n")
        server.signal(signal.SIGHUP)
        server.wait_for_log("the reload has failed, the workers that serve now stay")
        status = arbiter.wait_until(lambda status: len(status["workers"]) == 3)
        assert sorted(server.workers()) == old
        assert status["generation"] == 0
        assert "no database" in status["reload_problem"]
        log = server.log()
        assert log.count("Traceback") == 1
        assert log.count("RuntimeError: no database") == 2
        assert "in deep" in log
        rewrite(tmp_path, PROBE_APP)
        server.signal(signal.SIGHUP)
        server.wait_for_log("reloaded: 3 workers of generation 1")
        assert arbiter.status()["reload_problem"] is None


def test_a_worker_that_dies_of_the_new_code_ends_the_reload(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server:
        old = sorted(server.workers())
        rewrite(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
        server.signal(signal.SIGHUP)
        log = server.wait_for_log("the reload has failed")
        assert "was killed by SIGSEGV before it was ready" in log
        assert sorted(server.workers()) == old
        with server.connect() as client:
            assert client.call("echo", 1).result == 1


def test_new_code_that_never_gets_ready_ends_the_reload(tmp_path: Path) -> None:
    with running("-w", "2", "--start-timeout", "3", folder=tmp_path) as server:
        old = sorted(server.workers())
        rewrite(tmp_path, "import threading\nthreading.Event().wait()\n")
        server.signal(signal.SIGHUP)
        assert "raise --start-timeout" in server.wait_for_log("the reload has failed")
        assert sorted(server.workers()) == old


@pytest.mark.thorough
def test_a_second_reload_during_one_follows_it(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    switch = tmp_path / "switch"
    with (
        running("-w", "2", folder=tmp_path, app=held_app(gate, switch) + version_app("one")) as server,
        steering(server) as arbiter,
    ):
        switch.touch()
        server.signal(signal.SIGHUP)
        gate.wait()
        server.signal(signal.SIGHUP)
        server.wait_for_log("one more reload follows")
        rewrite(tmp_path, version_app("the last"))
        switch.unlink()
        gate.open()
        server.wait_for_log("reloaded: 2 workers of generation 2")
        # Those that were asked to leave may take a last connection before they hear of it.
        arbiter.wait_until(lambda status: all(worker["generation"] == 2 for worker in status["workers"]))
        for _ in range(4):
            with server.connect() as client:
                assert client.call("version").result == "the last"


def test_a_reload_while_an_old_worker_is_busy_waits_for_nobody(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with running("-w", "2", folder=tmp_path) as server, steering(server) as arbiter, server.connect() as client:
        gate.hold(client, close=True)
        server.signal(signal.SIGHUP)
        server.wait_for_log("reloaded:")
        status = arbiter.wait_until(lambda status: len(status["workers"]) == 3)
        assert [worker["state"] for worker in status["workers"]].count("draining") == 1
        gate.release(client)
        assert isinstance(client.receive(), Goodbye)


def test_a_worker_that_is_killed_during_a_reload_is_no_harm(tmp_path: Path) -> None:
    with running("-w", "4", folder=tmp_path) as server, steering(server) as arbiter:
        old = server.workers()
        with watched(old) as processes:
            arbiter.call("arbiter.reload")
            os.kill(old[-1], signal.SIGKILL)
            server.wait_for_log("reloaded:")
            assert all_gone(processes, PATIENCE)
        arbiter.ready(4)
        assert {worker["generation"] for worker in arbiter.workers()} == {1}


def test_reloads_under_load_lose_no_call(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    lost: list[str] = []
    replies = [0] * 3
    done = threading.Event()

    def call(server: Server, number: int) -> None:
        while not done.is_set():
            try:
                with server.connect() as client:
                    while not done.is_set():
                        client.send("count", [str(marks)], close=True)
                        received = client.receive()
                        if isinstance(received, Reply) and received.fault is None:
                            replies[number] += 1
                        if received is None:
                            lost.append("the stream ended without `close`")
                        if not isinstance(received, Reply) or received.close:
                            break
                        done.wait(0.001)
            except OSError as error:
                lost.append(str(error))

    with running("-w", "3", folder=tmp_path) as server:
        threads = [threading.Thread(target=call, args=(server, number)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            for generation in range(1, 4):
                server.signal(signal.SIGHUP)
                server.wait_for_log(f"reloaded: 3 workers of generation {generation}\n")
        finally:
            done.set()
            for thread in threads:
                thread.join(30)
    assert lost == []
    assert marks.stat().st_size == sum(replies) > 0


def test_a_reload_brings_dead_workers_back_at_once(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server:
        rewrite(tmp_path, "raise RuntimeError('out of order')\n")
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_for_log("a new one starts in 0.4 s")
        rewrite(tmp_path, PROBE_APP)
        server.signal(signal.SIGHUP)
        server.wait_for_log("reloaded: 1 worker of generation")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1


@pytest.mark.samples(1)
@pytest.mark.parametrize("app", ["link/calc.py", "calc.py", "calc"])
def test_a_reload_serves_the_release_that_a_link_names_by_then(app: str, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"release{number}").mkdir()
        (tmp_path / f"release{number}/calc.py").write_text(
            "import os\nfrom rpcserver import Service\nservice = Service('calc')\n"
            f"@service.method\ndef version() -> list: return [{number}, __name__, os.path.basename(os.getcwd())]\n"
        )
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "release1")
    folder = tmp_path if "/" in app else link
    with launched("--bind", "127.0.0.1:0", "-w", "1", app, cwd=folder, env={"PWD": str(folder)}) as server:
        server.wait_until_ready()
        for number in (1, 2):
            with server.connect() as client:
                name = tmp_path.name if folder == tmp_path else f"release{number}"
                assert client.call("version").result == [number, "calc", name]
            link.unlink()
            link.symlink_to(tmp_path / "release2")
            with watched(server.workers()) as former:
                server.signal(signal.SIGHUP)
                assert all_gone(former, PATIENCE)
