"""`:why` about calls to real servers: what held them up is known, and found."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.client.errors import CallTimeout, ConnectionLost, ShellError
from rpcshell.client.target import Target
from rpcshell.commands import load_commands
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.servers import PATIENCE, needs_server, stop

pytestmark = [needs_server, pytest.mark.usefixtures("forked")]

APP = """
import os
import signal
import time

from rpcserver import Service

service = Service("slow")


@service.method
def nap(seconds: float) -> None:
    time.sleep(seconds)


@service.method
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@service.method
def fail(password: str) -> None:
    raise ValueError(f"no good: {password}")


@service.method(out="pong")
def ping(params):
    return params
"""

GIVE_UP = 0.7
"""Seconds, longer than the silence after which the server is looked at."""


class Asked:
    """A shell with a server of its own, and what it answers to `:why`."""

    def __init__(self, folder: Path) -> None:
        (folder / "slow.py").write_text(APP)
        self.output = Recording()
        self.session = Session(background=False)
        self.shell = Shell(self.session, self.output, load_commands, interactive=True)
        self.server = self.session.spawn(SpawnOptions(workers=2, app="slow.py"))
        self.session.refresh()

    def ping(self) -> int:
        """Make a call; the process that answered it."""
        self.shell.execute("ping 1")
        meta = self.output.results[-1].meta
        assert meta is not None
        return meta.pid

    def give_up(self, line: str, kind: type[ShellError] = CallTimeout) -> str:
        """Make a call that hangs; why."""
        self.session.settings.timeout = GIVE_UP
        with pytest.raises(kind):
            self.shell.execute(line)
        self.session.settings.timeout = None
        return self.why()

    def why(self, words: str = "") -> str:
        self.shell.execute(f":why {words}")
        return self.output.texts[-1]

    def reason(self, text: str) -> str:
        """The sentence of an explanation, in one line."""
        found = re.search(r"^why +(.*?)^time", text, re.MULTILINE | re.DOTALL)
        assert found, text
        return " ".join(found[1].split())


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    # A busy machine has an arbiter answer late, and idle connections stay idle for long.
    for place in ("snapshot.LOOK", "sighting._PATIENCE", "evidence.LOOK"):
        monkeypatch.setattr(f"rpcshell.shell.why.{place}", PATIENCE)
    monkeypatch.setenv("RPCSERVER_RECLAIM_IDLE", "60")
    monkeypatch.chdir(tmp_path)
    asked = Asked(tmp_path)
    yield asked
    server, asked.session.server = asked.session.server, None
    asked.session.close()
    if server is not None:
        server.stop(drain=0)


@contextlib.contextmanager
def idle_connections(target: Target | None, count: int) -> Iterator[None]:
    host, _, port = str(target).rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((host, int(port))))
        yield


def test_workers_that_idle_connections_hold(asked: Asked) -> None:
    asked.ping()
    asked.session.hang_up(wait=True)
    with idle_connections(asked.session.target, 3):
        text = asked.give_up("ping 2")
    reason = r"both workers were held by idle connections, so the request waited [\d.]+ m?s in the listen queue and"
    assert re.match(reason, asked.reason(text))
    assert "place    in the listen queue" in text
    assert text.count("held by an idle connection") >= 2
    assert ":scale 4" in text


def test_a_handler_that_takes_long(asked: Asked) -> None:
    pid = asked.ping()
    text = asked.give_up("nap seconds=30")
    assert re.search(rf"the handler of nap itself takes the time: worker \d \(pid {pid}\) had", asked.reason(text))
    assert re.search(rf"^worker +\d \(pid {pid}\) in nap for [\d.]+ m?s", text, re.MULTILINE)


def test_a_worker_that_was_killed(asked: Asked) -> None:
    pid = asked.ping()
    with pytest.raises(ConnectionLost):
        asked.shell.execute("die")
    text = asked.why()
    assert re.search(rf"worker \d \(pid {pid}\) was killed by signal 9 \(SIGKILL\) while it had", asked.reason(text))
    assert re.search(rf" \+\d+\.\d\d s +worker \d \(pid {pid}\) died by SIGKILL, 1 call lost$", text, re.MULTILINE)
    assert re.search(rf"^log +.*worker \d \(pid {pid}\)", text, re.MULTILINE)


def test_a_worker_that_was_stopped(asked: Asked) -> None:
    pid = asked.ping()
    stop(pid)
    try:
        text = asked.give_up("ping 2")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert re.search(rf"worker \d \(pid {pid}\) had the call and was stopped \(SIGSTOP\)", asked.reason(text))
    assert f"kill -CONT {pid}" in text


def test_an_error_of_a_handler_comes_with_its_log_and_without_its_secrets(asked: Asked) -> None:
    with pytest.raises(ShellError):
        asked.shell.execute("fail password=geheim99")
    text = asked.why()
    assert "the handler of fail raised an exception" in asked.reason(text)
    assert re.search(r"^log .*fail failed: ValueError: no good: \*\*\*$", text, re.MULTILINE)
    assert "geheim99" not in text
    asked.ping()
    assert asked.why().startswith("call 2 · ping 1 · answered in")
    assert "the last call that failed was 1: :why 1" in asked.output.notes
    assert asked.why("1").startswith('call 1 · fail password="***" · error -32603')


def test_a_server_that_is_gone(asked: Asked) -> None:
    asked.ping()
    os.kill(asked.server.pid, signal.SIGKILL)
    assert asked.server.ends_within(10)
    with pytest.raises(ShellError):
        asked.shell.execute("ping 2")
    assert "the server is gone: it was killed by SIGKILL" in asked.reason(asked.why())


def test_what_cannot_be_looked_at_is_said_to_be_so() -> None:
    output = Recording()
    session = Session(plain=True, background=False)
    session.settings.timeout = GIVE_UP
    shell = Shell(session, output, load_commands, interactive=True)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        session.connect(f"127.0.0.1:{stranger.getsockname()[1]}")
        with pytest.raises(CallTimeout):
            shell.execute("ping 1")
        shell.execute(":why")
        session.close()
    assert "the request was sent whole, and nothing came back within" in " ".join(output.texts[-1].split())
    assert "is no server of yours on this machine" in " ".join(output.texts[-1].split())
