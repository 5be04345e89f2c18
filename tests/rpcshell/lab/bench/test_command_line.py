"""`rpcshell bench` as a process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import forks
from tests.rpcshell.describing import document
from tests.rpcshell.peers import DEADLINE, Peer, echo, free_port, serving
from tests.servers import needs_server

BENCH = [sys.executable, "-m", "rpcshell", "bench"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def run(*arguments: object) -> tuple[int, str, str]:
    done = forks.run("rpcshell", ["bench", *arguments])
    return done.returncode, done.stdout, done.stderr


def test_a_run_is_one_line_of_json_and_nothing_else() -> None:
    with serving(echo) as server:
        code, out, err = run("--plain", server.target, 'ping {"a": 1}', "-n", 30, "-c", 2, "--json")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    found = json.loads(out)
    assert (found["calls"], found["plan"]["params"], found["server"]) == (30, {"a": 1}, None)


def test_without_json_it_is_the_report_and_the_call_needs_no_quotes() -> None:
    with serving(echo) as server:
        code, out, _ = run(server.target, "-n", 30, "-c", 2, "ping", "a=1", "b=x")
    assert code == 0
    assert out.startswith('ping {"a":1,"b":"x"}\n2 connections, closed loop')
    assert "\x1b" not in out


@pytest.mark.thorough
@needs_server
def test_a_server_is_started_for_it() -> None:
    code, out, _ = run("--spawn", 1, "--model", "thread", "ping", "-n", 30, "--json")
    assert (code, json.loads(out)["server"]["model"]) == (0, "thread")
    code, out, _ = run("-m", "sync,async", "--spawn", 1, "ping", "-n", 30, "--rounds", 1)
    assert code == 0
    # A worker of model sync serves no more, and all models have the same.
    assert "1 connection, closed loop" in out
    assert "sync" in out
    assert "async" in out


def failing(peer: Peer) -> None:
    while peer.read() is not None:
        peer.send({"out": "error", "result": {"code": -32601, "message": "no such method"}})


def refusing(peer: Peer) -> None:
    """A server that lists its only method."""
    while (request := peer.read()) is not None:
        if request["in"] == "rpc.discover":
            peer.send({"out": "discovered", "result": document("ping")})
        else:
            peer.send({"out": "error", "result": {"code": -32601, "message": "no such method"}})


@pytest.mark.parametrize("call", ["pnig", 'pnig {"a": 1}'])
def test_a_method_that_a_server_does_not_list_is_refused_before_the_load(call: str) -> None:
    with serving(refusing) as server:
        code, out, err = run(server.target, call)
    assert (code, out) == (1, "")
    assert err == "rpcshell: pnig: error -32601: no such method (did you mean ping?)\n"


def test_the_exit_code_says_what_came_of_it() -> None:
    with serving(failing) as server:
        code, out, err = run("--plain", server.target, "ping 1", "-n", 5)
    assert (code, err) == (1, "rpcshell: no call went well\n")
    assert "error -32601" in out
    assert "no such method" in out
    code, out, err = run(free_port(), "ping")
    assert (code, out) == (3, "")
    assert "refused" in err


@pytest.mark.samples(2)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "[TARGET] CALL"),
        (["8080"], "a TARGET and a CALL"),
        (["ping", "-n", "3"], "a TARGET and a CALL"),
        (["8080", "ping", "--app", "calc.py"], "--app is for a server started with --spawn"),
        (["8080", "ping", "--model", "sync"], "--model is for a server started with --spawn"),
        (["8080", "ping", "-c", "0"], "not in the range"),
        (["8080", "ping", "-c", "x"], "'x' is not a whole number"),
        (["8080", "ping", "-d", "x"], "'x' is not a number"),
        (["--tls-ca", __file__, "8080", "ping"], "for a target with TLS"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(arguments: list[str], says: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.thorough
def test_ctrl_c_tells_what_there_is() -> None:
    called = threading.Event()

    def calling(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            peer.send({"out": "pong", "result": request["params"]})
            called.set()

    with (
        serving(calling) as server,
        subprocess.Popen(
            [*BENCH, "--plain", str(server.target), "ping 1", "-d", "60", "-c", "1", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as bench,
    ):
        assert called.wait(DEADLINE)
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=DEADLINE)
    assert bench.returncode == 130
    assert json.loads(out)["interrupted"] is True
    assert json.loads(out)["calls"] > 0
    assert err == "rpcshell: interrupted: what there was by then was told\n"
