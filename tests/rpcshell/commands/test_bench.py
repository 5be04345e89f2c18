from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpcshell.client.errors import CallError, Cancelled, ConnectionFailed, NotConnected, ShellError, UsageError
from rpcshell.client.target import Target
from rpcshell.commands import load_commands
from rpcshell.lab.bench.measurement import RunProgress
from rpcshell.lab.bench.progress import DrawnProgress
from rpcshell.line.hint import hint
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings
from rpcshell.servers.directory import LocalServer, server_of
from rpcshell.servers.listeners import is_on_this_machine
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.pretty import Fragment
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server

pytestmark = needs_server


class Screen(Recording):
    """An output that can draw in place; Ctrl-C is pressed at the first drawing that says so."""

    def __init__(self, interrupt_at: str = "no such text") -> None:
        super().__init__()
        self.drawn: list[str] = []
        self.size = (12, 60)
        self._interrupt_at = interrupt_at

    @contextmanager
    def live(self) -> Iterator[Screen]:
        yield self

    def draw(self, pieces: Sequence[Fragment]) -> None:
        self.drawn.append("".join(text for _, text in pieces))
        if self._interrupt_at in self.drawn[-1]:
            self._interrupt_at = "no such text"
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def connected(shell: Shell, address: str) -> Shell:
    shell.execute(f":connect {address}")
    return shell


@pytest.mark.thorough
def test_a_run_is_told_to_programs_in_full(connected: Shell, output: Recording) -> None:
    assert connected.session.call("ping", 1).result == 1
    # The only worker serves one connection at a time: the session has let go of its own.
    connected.execute(":bench --json -c 1 ping token=abcdef -n 60")
    [(_, found)] = output.values
    assert (found["calls"], found["failed"], found["problems"], found["interrupted"]) == (60, 0, {}, False)
    assert found["workers"] == {"1": 60}
    assert found["plan"]["params"] == {"token": "***"}
    assert (found["plan"]["connections"], found["plan"]["calls"], found["plan"]["seconds"]) == (1, 60, None)
    assert 0 < found["latency"]["p50"] <= found["latency"]["p99.9"] <= found["latency"]["max"] < 5
    assert sum(count for _, count in found["histogram"]) == 60
    assert found["rate"] == pytest.approx(60 / found["seconds"])
    assert found["server"]["model"] == "sync"
    assert (found["server"]["workers"], found["server"]["died"], found["server"]["lost"]) == (1, 0, 0)
    assert connected.session.call("ping", 2).result == 2


def test_a_run_is_reported_and_compared_with_the_one_before(
    connected: Shell, output: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    connected.execute(":bench -c 1 -d 0.3 ping --compare")
    assert output.texts[0].startswith("ping\n1 connection, closed loop · 1 sync worker")
    assert "no earlier run" in output.texts[-1]
    connected.execute(":bench -c 1 -d 0.3 ping --compare --html ~/page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert "Against the last run of this call" in output.texts[-1]


def test_the_rate_is_kept_and_shown_on_the_way(address: str) -> None:
    screen = Screen()
    session = Session(background=False)
    session.connect(address)
    Shell(session, screen, load_commands, interactive=True).execute(":bench -r 200 -c 1 -d 0.6 ping")
    session.close()
    assert screen.drawn[0].endswith("connecting")
    # Where it is drawn depends on the machine; that it is drawn on the way does not.
    assert any("calls/s · p99 " in drawn and re.search(r" [1-9]\d%", drawn) for drawn in screen.drawn)
    assert all(len(row) <= 60 for drawn in screen.drawn for row in drawn.splitlines())
    told = " ".join(screen.texts[0].split())
    calls = re.search(r"calls/s (\d+) calls in \d\.\d s", told)
    assert calls is not None
    # A machine that is busy with something else misses some, which is said.
    assert calls[1] == "120" or "never sent" in told


def test_what_draws_the_progress_fits_on_any_screen() -> None:
    screen = Screen()
    for screen.size in ((3, 1), (2, 12), (24, 200)):
        draw = DrawnProgress(screen, "ping \x1b[31m · a title that is longer than a row of many a screen is wide")
        draw(RunProgress(seconds=1, calls=10**9, problems=10**9, rate=10**6, p99=100, share=1))
        rows = screen.drawn[-1].splitlines()
        assert len(rows) <= max(screen.size[0], 4)
        assert "\x1b" not in screen.drawn[-1]


def test_ctrl_c_ends_it_and_tells_what_there_is(address: str) -> None:
    screen = Screen(interrupt_at="calls/s")
    session = Session(background=False)
    session.connect(address)
    shell = Shell(session, screen, load_commands, interactive=True)
    shell.execute(":bench -c 1 -d 60 ping")
    assert "Stopped after 0." in screen.texts[0]
    assert session.call("ping", 2).result == 2
    screen._interrupt_at = "connecting"
    with pytest.raises(Cancelled, match="nothing was measured"):
        shell.execute(":bench -c 1 -d 60 ping")
    session.close()


@pytest.mark.thorough
def test_models_are_started_in_turn_and_stand_side_by_side(shell: Shell, output: Recording) -> None:
    shell.session.spawn(SpawnOptions(workers=1, model="fork"))
    shell.execute(":bench ping -m sync,thread --rounds 2 -n 20 -c 2 --json")
    [(_, found)] = output.values
    assert [one["server"]["model"] for one in found] == ["sync", "thread"] * 2
    # As many as there are connections, and one a processor.
    assert [one["server"]["workers"] for one in found] == [2, len(os.sched_getaffinity(0))] * 2
    assert [one["calls"] for one in found] == [20] * 4
    assert shell.session.server is not None
    # Other tests have servers here too.
    assert isinstance(server_of(shell.session.server.pid), LocalServer)
    shell.execute(":bench ping -m async -w 2 -n 20 --rounds 1")
    assert "async" in output.texts[-1]
    assert "2 workers each" in output.texts[-1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (":bench", "missing argument 'CALL'"),
        (":bench -c 0 ping", "not in the range"),
        (":bench ping -c", "requires an argument"),
        (":bench ping -c 0", "not in the range"),
        (":bench ping --nonsense 3", "is not a value"),
        (":bench x = ping", "is no call"),
        (":bench -m sync,nonsense ping", "'nonsense' is no worker model"),
        (":bench -m all ping", "was not"),
        (":bench -w 2 ping", "for the servers that --models starts"),
        (":bench -c 1 --processes 2 ping", "need as many connections"),
        (":bench --html no/such/folder.html ping", "cannot be written"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(connected: Shell, line: str, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        connected.execute(line)
    assert problem in str(raised.value)


def test_what_stands_in_the_call_is_no_option(connected: Shell, output: Recording) -> None:
    connected.execute(':bench -c 1 -n 3 --json ping ["-n", "5", " -c 8"]')
    assert output.values[0][1]["plan"]["params"] == ["-n", "5", " -c 8"]
    assert output.values[0][1]["calls"] == 3


def test_servers_of_others_are_not_loaded_by_accident(output: Recording) -> None:
    session = Session(background=False)
    session.settings.timeout = 0.05
    shell = Shell(session, output, load_commands, interactive=True)
    with pytest.raises(NotConnected):
        shell.execute(":bench ping")
    with pytest.raises(ConnectionFailed):
        session.connect("192.0.2.1:80")
    with pytest.raises(UsageError, match="is not on this machine") as raised:
        shell.execute(":bench ping")
    assert raised.value.hint == "--yes-remote says that you may"
    session.close()


@pytest.mark.parametrize("line", [":bench ping -c 8", ":bench -c 8 ping a=1 -d 3 --json", ":bench ping a=-c"])
def test_options_behind_the_call_are_no_problem_while_typing(line: str, shell: Shell) -> None:
    assert not hint(parse(line), len(line), Surroundings(commands=shell.commands.specs)).problem


@pytest.mark.parametrize(
    ("target", "here"),
    [
        ("8080", True),
        ("127.0.0.1:80", True),
        ("tls://127.1.2.3:80", True),
        ("unix:/run/x", True),
        ("192.0.2.1:80", False),
        ("tls://192.0.2.1:80", False),
    ],
)
def test_what_is_on_this_machine_is_known(target: str, here: bool) -> None:
    assert is_on_this_machine(Target.parse(target)) is here


def test_without_a_terminal_a_run_that_brought_nothing_is_an_error(address: str) -> None:
    output = Recording()
    session = Session(background=False)
    session.connect(address)
    with pytest.raises(ShellError, match="no call went well"):
        Shell(session, output, load_commands).execute(":bench -n 3 -c 1 --json fail message=Oops")
    session.close()
    assert output.values[0][1]["problems"] == {"error -32000": 3}
    assert output.values[0][1]["examples"]["error -32000"] == "Oops"


@pytest.mark.parametrize("interactive", [True, False])
@pytest.mark.parametrize("call", ["pnig", "pnig a=1", 'pnig {"a": 1}'])
def test_a_misspelt_method_is_told_before_the_load(address: str, call: str, interactive: bool) -> None:
    screen = Screen()
    session = Session(background=interactive)
    session.connect(address)
    shell = Shell(session, screen, load_commands, interactive=interactive)
    with pytest.raises(CallError, match="did you mean ping"):
        shell.execute(f":bench -n 3 -c 1 {call}")
    session.close()
    assert (screen.drawn, screen.texts) == ([], [])


def test_a_misspelt_method_is_told_before_models_are_started_that_are_compared(shell: Shell, output: Recording) -> None:
    shell.execute(":spawn 1")
    with pytest.raises(CallError, match="did you mean ping"):
        shell.execute(":bench -n 3 --models sync,thread pnig")
    assert len(output.texts) == 1


def test_a_misspelt_method_is_told_before_the_load_of_models_where_no_server_was_there(
    shell: Shell, output: Recording
) -> None:
    with pytest.raises(CallError, match="did you mean ping"):
        shell.execute(':bench -n 3 --models sync,thread pnig {"a": 1}')
    assert output.texts == []


def test_a_method_that_is_not_listed_is_loaded_where_the_server_takes_it(connected: Shell, output: Recording) -> None:
    connected.execute(":bench -n 3 -c 1 --json rpc.discover")
    assert (output.values[0][1]["calls"], output.values[0][1]["failed"]) == (3, 0)
