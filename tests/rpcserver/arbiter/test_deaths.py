"""Every way to die: workers, the arbiter, the process that started it, and apps that do not start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.poverty import descriptors_below
from tests.rpcserver.steering import Gate, steering
from tests.servers import PATIENCE, PROBE_APP, Client, all_gone, connected, launched, running, until, watched


def test_a_killed_worker_is_replaced_and_its_death_is_logged(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server, steering(server) as arbiter:
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
            victim = server.workers()[0]
            with watched([victim]) as processes:
                os.kill(victim, number)
                assert all_gone(processes, PATIENCE)
            server.wait_for_log(f"(pid {victim}) was killed by {number.name}; a new one starts")
            arbiter.ready(2, gone=victim)


def test_a_call_that_kills_its_worker_ends_its_own_connection_only(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server, server.connect() as bystander:
        assert bystander.call("echo", 1).result == 1
        with server.connect() as client:
            client.send("die", [int(signal.SIGKILL)])
            assert client.receive() is None
        assert bystander.call("echo", 2).result == 2


def test_no_zombies_are_left(tmp_path: Path) -> None:
    with running("-w", "3", folder=tmp_path) as server:
        for round_number in range(1, 4):
            with server.connect() as client:
                client.send("die", [int(signal.SIGKILL)])
                assert client.receive() is None
            server.wait_for_log("was killed by SIGKILL", round_number)
        states = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in server.workers()]
        assert "Z" not in states


@pytest.mark.samples(1)
@pytest.mark.parametrize("state", ["idle", "in a call", "in a handler that blocks every signal"])
def test_no_worker_outlives_a_killed_arbiter(tmp_path: Path, state: str) -> None:
    app = PROBE_APP + (
        "\nimport threading\n"
        "@service.method\n"
        "def stuck(entered: str) -> None:\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT})\n"
        "    open(entered, 'wb').close()\n"
        "    threading.Event().wait()\n"
    )
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    with running("-w", "4", folder=tmp_path, app=app) as server, server.connect() as client:
        if state == "in a call":
            assert client.call("echo", 1).result == 1
        elif state != "idle":
            client.send("stuck", [str(entered)])
            entered.read_bytes()
        with watched(server.workers()) as processes:
            assert len(processes) == 4
            server.signal(signal.SIGKILL)
            assert all_gone(processes, PATIENCE)


def test_the_end_of_the_link_stops_the_server(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server, watched(server.workers()) as processes:
        server.link.close()
        assert server.wait() == 0
        assert all_gone(processes, PATIENCE)


def test_the_end_of_the_link_does_not_stop_a_server_that_shall_be_kept(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server:
        server.link.sendall(b"keep\n")
        server.link.close()
        server.wait_for_log("the server stays")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


@pytest.mark.samples(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_does_not_wait_for_a_running_call(tmp_path: Path, number: signal.Signals) -> None:
    gate = Gate(tmp_path)
    with running("-w", "3", folder=tmp_path) as server, server.connect() as client:
        gate.hold(client)
        server.signal(number)
        assert server.wait() == 0
        assert client.receive() is None
        assert "SIGKILL" not in server.log()


def test_a_worker_that_resists_a_quick_stop_is_killed(tmp_path: Path) -> None:
    app = PROBE_APP + (
        "\n@service.method\n"
        "def resist(entered: str) -> None:\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "    open(entered, 'wb').close()\n"
        "    signal.sigwait({signal.SIGUSR1})\n"
    )
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    with running("-w", "1", folder=tmp_path, app=app) as server, server.connect() as client:
        client.send("resist", [str(entered)])
        entered.read_bytes()
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert "is killed" in server.log()


def test_a_signal_to_the_whole_group_is_no_crash(tmp_path: Path) -> None:
    with running("-w", "4", folder=tmp_path) as server:
        os.killpg(server.pid, signal.SIGINT)
        assert server.wait() == 0
        assert "a new one starts" not in server.log()


def failure(folder: Path, app: str | None, *options: str) -> tuple[dict[str, Any], str]:
    """What is told of an app that does not start, or of none, and the log."""
    file = folder / "broken.py"
    if app is not None:
        file.write_text(app)
    # The other workers are told to leave wherever they are, with the app's file open in their hands for one.
    warnings = {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    with launched("-w", "5", "-b", "127.0.0.1:0", *options, str(file), env=warnings) as server:
        event = server.event()
        assert event["event"] == "failed"
        assert server.wait() == 3
        return event, server.log()


def test_an_app_that_fails_to_import_ends_the_server_with_its_traceback_once(tmp_path: Path) -> None:
    event, log = failure(tmp_path, "def deep():\n    raise RuntimeError('no database')\n\ndeep()\n")
    assert "no database" in event["message"]
    assert "deep" in event["traceback"]
    assert log.count("Traceback") == 1
    assert log.count("broken.py") >= 2
    assert "rpcserver/" not in log


def test_an_app_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    event, log = failure(tmp_path, None)
    assert event["traceback"] is None
    assert log.splitlines() == [f"rpcserver: {event['message']}"]


@pytest.mark.parametrize(
    ("app", "options", "said"),
    [
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
            (),
            "was killed by SIGSEGV before it was ready",
        ),
        (
            "import threading\nthreading.Event().wait()\n",
            ("--start-timeout", "0.5"),
            "was not ready after 0.5 s",
        ),
    ],
    ids=["kills its worker", "never gets ready"],
)
def test_an_app_that_does_not_start_ends_the_server(
    app: str, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    event, _ = failure(tmp_path, app, *options)
    assert said in event["message"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_whose_app_hangs_at_the_start_can_be_stopped(tmp_path: Path, number: signal.Signals) -> None:
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    file = tmp_path / "slow.py"
    file.write_text(f"import threading\nopen({str(entered)!r}, 'wb').close()\nthreading.Event().wait()\n")
    with launched("-w", "1", "-b", "127.0.0.1:0", str(file)) as server:
        entered.read_bytes()
        server.signal(number)
        assert server.wait() == 0


def test_workers_that_die_at_a_later_start_are_tried_less_and_less_often(tmp_path: Path) -> None:
    switch = tmp_path / "broken"
    app = f"import pathlib\nif pathlib.Path({str(switch)!r}).exists(): raise RuntimeError('out of order')\n{PROBE_APP}"
    with running("-w", "1", folder=tmp_path, app=app) as server:
        switch.touch()
        os.kill(server.workers()[0], signal.SIGKILL)
        log = server.wait_for_log("a new one starts in 0.4 s")
        assert "a new one starts in 0.2 s" in log
        assert "out of order" in log
        assert "server/rpcserver/" not in log
        switch.unlink()
        with server.connect() as client:
            assert client.call("echo", 1).result == 1


def test_stop_hooks_run_in_every_stop_but_a_kill(tmp_path: Path) -> None:
    app = PROBE_APP + (
        f"\n@service.on_worker_stop\ndef bye():\n    open({str(tmp_path / 'bye')!r}, 'ab').write(b'.')\n"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        with running("-w", "3", folder=tmp_path, app=app) as server:
            server.signal(number)
            assert server.wait() == 0
        assert (tmp_path / "bye").read_bytes() == b"..."
        (tmp_path / "bye").unlink()


def test_a_failing_start_hook_is_the_apps_failure(tmp_path: Path) -> None:
    hook = "\n@service.on_worker_start\ndef connect():\n    raise OSError('no database')\n"
    event, _ = failure(tmp_path, PROBE_APP + hook)
    assert "no database" in event["message"]
    assert "broken.py" in event["traceback"]


def test_a_handler_that_forks_does_not_keep_the_server_alive(tmp_path: Path) -> None:
    app = PROBE_APP + (
        "\n@service.method\n"
        "def leave_child() -> int:\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "        signal.sigwait({signal.SIGTERM})\n"
        "        os._exit(0)\n"
        "    return pid\n"
    )
    with running("-w", "1", folder=tmp_path, app=app) as server, server.connect() as client:
        child = client.call("leave_child").result
        try:
            server.signal(signal.SIGTERM)
            client.close()
            assert server.wait_for_log("stopped")
            assert server.process.wait(PATIENCE) == 0
        finally:
            os.kill(child, signal.SIGTERM)


@contextlib.contextmanager
def becoming(preparation: str, app: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that becomes a server at the socket `s` in the folder, once it has prepared itself."""
    (folder / "probe.py").write_text(app)
    become = "os.execv(sys.executable, [sys.executable, '-P', '-m', 'rpcserver', *sys.argv[1:]])\n"
    options = ("-w", "1", "-b", f"unix:{folder}/s", str(folder / "probe.py"))
    command = [sys.executable, "-c", f"import ctypes, os, sys\n{preparation}{become}", *options]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def stopped(process: subprocess.Popen[bytes]) -> bytes:
    """What a server has logged that was asked to stop, and did."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    return log


@pytest.mark.thorough
def test_orphans_of_a_first_process_are_reaped_and_not_taken_for_workers(tmp_path: Path) -> None:
    # A process that was made with children of its own, as PID 1 of a container gets them.
    child = "pid = os.fork()\nif pid == 0:\n    os.read(0, 1)\n    os._exit(3)\nprint(pid, flush=True)\n"
    with becoming(child, PROBE_APP, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        stray = int(process.stdout.readline())
        assert b"listening on" in process.stderr.readline()
        with watched([stray]) as processes:
            process.stdin.write(b".")
            process.stdin.flush()
            assert all_gone(processes, PATIENCE)
        assert b"worker" not in stopped(process).replace(b"workers have", b"")
        assert not Path(f"/proc/{stray}").exists()


@pytest.mark.thorough
def test_orphans_of_workers_are_reaped_by_a_first_process(tmp_path: Path) -> None:
    # A subreaper gets orphans as PID 1 does: prctl(2).
    app = PROBE_APP + (
        "\n@service.method\n"
        "def leave_orphan(path: str) -> int:\n"
        "    middle = os.fork()\n"
        "    if middle == 0:\n"
        "        orphan = os.fork()\n"
        "        if orphan == 0:\n"
        "            with open(path, 'rb') as file:\n"
        "                file.read(1)\n"
        "            os._exit(3)\n"
        "        os.write(1, f'{orphan}\\n'.encode())\n"
        "        os._exit(0)\n"
        "    return os.waitpid(middle, 0)[1]\n"
    )
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    subreaper = "assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0\n"  # PR_SET_CHILD_SUBREAPER, linux/prctl.h
    with becoming(subreaper, app, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"listening on" in process.stderr.readline()
        with Client(connected(f"unix:{tmp_path}/s")) as client:
            assert client.call("leave_orphan", [str(hold)]).result == 0
        orphan = int(process.stdout.readline())
        parent = Path(f"/proc/{orphan}/stat").read_text().rsplit(")", 1)[1].split()[1]
        assert int(parent) == process.pid
        with watched([orphan]) as processes:
            hold.write_bytes(b".")
            assert all_gone(processes, PATIENCE)
        assert b"exited with status 3" not in stopped(process)
        assert not Path(f"/proc/{orphan}").exists()


def test_logs_are_opened_again_in_every_process(tmp_path: Path) -> None:
    log, moved = tmp_path / "server.log", tmp_path / "server.log.1"
    with running("-w", "2", "--log-file", str(log), "--log-level", "debug", folder=tmp_path) as server:
        log.rename(moved)
        server.signal(signal.SIGUSR1)
        until(lambda: log.exists() and log.read_text().count("was opened again") == 3)
        for pid in server.workers():
            assert f" {pid}] " in log.read_text()
        assert "opened again" not in moved.read_text()


def test_a_server_without_descriptors_left_goes_on_with_the_workers_it_has(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server, server.connect() as client:
        with descriptors_below(8, server.pid):
            other = next(pid for pid in server.workers() if pid != client.call("pid").result)
            os.kill(other, signal.SIGKILL)
            server.wait_for_log("cannot be started: Too many open files")
            assert len(server.workers()) == 1
        with server.connect() as second:
            assert second.call("pid").result in server.workers()
        server.signal(signal.SIGTERM)
        client.close()
        assert server.wait() == 0
