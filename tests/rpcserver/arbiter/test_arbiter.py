"""The arbiter from outside: readiness, the link, exit codes, signals, and what a start costs others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import PROBE_APP, launched, running


def test_readiness_is_told_with_everything_a_client_needs(tmp_path: Path) -> None:
    bind = ("127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/probe.sock")
    with running("-w", "3", folder=tmp_path, bind=bind) as server:
        seconds = server.ready.pop("seconds")
        assert seconds > 0
        assert server.ready == {
            "event": "ready",
            "pid": server.pid,
            "addresses": server.addresses,
            "workers": 3,
            "model": "sync",
            "app": str(tmp_path / "probe.py"),
            "control": server.ready["control"],
        }
        assert [address.rpartition(":")[0] for address in server.addresses] == ["127.0.0.1", "[::1]", "unix"]
        for index in range(3):
            with server.connect(index) as client:
                assert client.call("echo", index).result == index


def test_the_log_says_where_the_server_listens(tmp_path: Path) -> None:
    with running("-w", "3", folder=tmp_path) as server:
        log = server.wait_for_log("listening")
        assert f"listening on {server.addresses[0]}, 3 workers (sync), pid {server.pid}\n" in log


def test_there_are_as_many_workers_as_asked_for(tmp_path: Path) -> None:
    with running("-w", "7", folder=tmp_path) as server:
        assert len(server.workers()) == 7


def test_the_demo_is_served_where_no_app_is_named(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path, app=None) as server, server.connect() as client:
        reply = client.call("ping", {"a": 1}, meta=True)
        assert (reply.out, reply.result) == ("pong", {"a": 1})
        assert reply.meta is not None
        assert (reply.meta.worker, reply.meta.pid, reply.meta.model) == (1, server.workers()[0], "sync")


@pytest.mark.samples(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_that_was_asked_for_is_no_failure(tmp_path: Path, number: signal.Signals) -> None:
    with running("-w", "2", folder=tmp_path) as server:
        server.signal(number)
        assert server.wait() == 0
        assert server.log().rstrip().endswith("stopped")


def test_a_signal_without_a_meaning_is_named_and_harmless(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server:
        os.killpg(server.pid, signal.SIGUSR2)
        server.wait_for_log("SIGUSR2 was received")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        assert len(server.workers()) == 2


@pytest.mark.parametrize("option", ["--bind", "--health", "--metrics"])
def test_an_address_in_use_fails_before_any_worker_starts_and_is_one_clear_line(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with launched("--bind", "127.0.0.1:0", option, address) as server:
            event = server.event()
            assert event["event"] == "failed"
            assert address in event["message"]
            assert "in use" in event["message"]
            assert server.wait() == 1
            assert server.log() == f"rpcserver: {event['message']}\n"


def test_a_server_that_does_not_start_leaves_no_socket_behind(tmp_path: Path) -> None:
    places = ("--bind", f"unix:{tmp_path}/s", "--health", f"unix:{tmp_path}/h", "--control", f"{tmp_path}/c")
    with launched(*places, "--register", "zk://h/a") as server:
        assert "needs a TCP address" in server.event()["message"]
        assert server.wait() == 2
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_told_on_the_link(tmp_path: Path) -> None:
    with launched("--workers", "none") as server:
        event = server.event()
        assert "--workers" in event["message"]
        assert server.wait() == 2


def test_a_link_that_is_no_socket_is_refused() -> None:
    command = [sys.executable, "-P", "-m", "rpcserver", "--link-fd", "0"]
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert finished.returncode == 2
    assert b"stream socket" in finished.stderr
    assert b"Traceback" not in finished.stderr


@pytest.mark.samples(1)
@pytest.mark.parametrize(("option", "says"), [("--help", "--workers"), ("--version", "rpcserver")])
def test_help_and_version_need_no_server(option: str, says: str) -> None:
    command = [sys.executable, "-P", "-m", "rpcserver", option]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert says in finished.stdout


def test_what_workers_do_not_need_is_closed_in_them(tmp_path: Path) -> None:
    app = PROBE_APP + (
        "\n@service.method\n"
        "def descriptors() -> list[str]:\n"
        "    names = []\n"
        "    for name in os.listdir('/proc/self/fd'):\n"
        "        try:\n"
        "            names.append(os.readlink(f'/proc/self/fd/{name}'))\n"
        "        except FileNotFoundError:\n"
        "            pass\n"
        "    return names\n"
    )
    with running("-w", "5", folder=tmp_path, app=app) as server:
        seen = []
        pids: set[int] = set()
        while len(pids) < 5:
            with server.connect() as client:
                pid = client.call("pid").result
                if pid not in pids:
                    pids.add(pid)
                    seen.append(sorted(name.partition(":")[0] for name in client.call("descriptors").result))
        # Three standard streams, the listener, the connection, the channel; an epoll, and a pipe for signals.
        for names in seen:
            assert names.count("socket") == 3
            assert sum(name.startswith("anon_inode") for name in names) == 1
            assert not [name for name in names if "pidfd" in name]
            assert len(names) <= 10


def test_programs_that_a_handler_starts_inherit_no_descriptor_and_no_ignored_signal(tmp_path: Path) -> None:
    app = PROBE_APP + (
        "\n@service.method\n"
        "def spawn() -> list[str]:\n"
        "    import subprocess\n"
        "    script = \"import os; print(len(os.listdir('/proc/self/fd')));\"\\\n"
        "        \"print([l for l in open('/proc/self/status') if l.startswith('SigBlk')][0].split()[1]);\"\\\n"
        '        "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_DFL)"\n'
        "    import sys\n"
        "    command = [sys.executable, '-c', script]\n"
        "    return subprocess.run(command, close_fds=False, capture_output=True, text=True).stdout.split()\n"
    )
    with running("-w", "2", folder=tmp_path, app=app) as server, server.connect() as client:
        # Three standard streams, and the folder that is being listed.
        assert client.call("spawn").result == ["4", "0" * 16, "True"]


def test_the_arbiter_does_not_import_the_app(tmp_path: Path) -> None:
    app = f"import os\nopen({str(tmp_path / 'importers')!r}, 'a').write(f'{{os.getpid()}}\\n')\n{PROBE_APP}"
    with running("-w", "3", folder=tmp_path, app=app) as server:
        importers = [int(pid) for pid in (tmp_path / "importers").read_text().split()]
        assert sorted(importers) == sorted(server.workers())


def test_the_arbiter_sleeps_when_nothing_happens(tmp_path: Path) -> None:
    with running("-w", "2", folder=tmp_path) as server:

        def switches() -> int:
            status = Path(f"/proc/{server.pid}/status").read_text()
            return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

        before, began = switches(), time.monotonic()
        with server.connect() as client:
            for number in range(1000):
                assert client.call("echo", number).result == number
        # It looks around once a second, however long that takes here, and the kernel has it wait for pages and locks.
        assert switches() - before <= 50 + 2 * (time.monotonic() - began)


def test_nothing_needed_only_later_is_imported_at_the_start() -> None:
    script = (
        "import sys, rpcserver.cli, rpcserver.arbiter.arbiter, rpcserver.workers.sync;"
        "print(*sorted({'asyncio', 'tomllib', 'uvloop', 'rich', 'prompt_toolkit', 'pygments', 'rpcshell',"
        " 'rpcserver.testing.demo', 'concurrent.futures', 'json', 'rpcserver.arbiter.control_service',"
        " 'rpcserver.arbiter.status', 'rpcserver.ops.metrics', 'rpcserver.ops.watch',"
        " 'importlib.metadata'} & set(sys.modules)))"
    )
    finished = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=20, check=True
    )
    assert finished.stdout.split() == []
