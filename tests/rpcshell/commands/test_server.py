"""`:workers`, `:servers`, `:connect` to one of them, and `:top` where it prints; the server is real."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from rpcshell.client.errors import NotConnected, UsageError
from rpcshell.commands import load_commands
from rpcshell.commands.worker_table import server_line, worker_row
from rpcshell.servers.directory import LocalServer, SilentServer, ask_local_servers
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.settings import Settings
from rpcwire.control import (
    ListenerStatus,
    RegistrationStatus,
    RunningCall,
    ServerStatus,
    StemStatus,
    TotalStatus,
    WorkerStatus,
)
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.describing import offering
from tests.rpcshell.peers import DEADLINE, Peer, serving
from tests.servers import needs_server, running

pytestmark = needs_server


@pytest.fixture
def connected(shell: Shell, address: str) -> Shell:
    shell.execute(f":connect {address}")
    return shell


def columns(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "24")


def test_workers_are_a_table_with_figures_to_the_right(
    connected: Shell, output: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns(monkeypatch, 100)
    connected.execute("ping 1")
    connected.execute(":workers")
    titles, _, worker = output.texts[-1].splitlines()
    assert " ".join(titles.split()) == "worker pid state call conns calls errors busy rss pss uss age"
    for title in ("busy", "rss", "pss", "uss", "age"):
        end = titles.index(title) + len(title)
        assert worker[end - 1] != " "
        assert worker[end : end + 1].strip() == ""
    assert re.fullmatch(
        r"pid \d+ · 1 sync worker · queue 0/\d+ · \d+ calls? · no worker died · up .*", output.notes[-1]
    )


def test_on_a_narrow_screen_workers_lose_what_matters_least(
    connected: Shell, output: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns(monkeypatch, 40)
    connected.execute(":workers")
    lines = output.texts[-1].splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 40
    assert {"worker", "state", "call", "busy"} <= set(lines[0].split())


def test_programs_get_numbers(address: str) -> None:
    output = Recording()
    settings = Settings(script=True)
    settings.set("format", "json")
    session = Session(background=False)
    session.connect(address)
    try:
        shell = Shell(session, output, load_commands, settings=settings)
        shell.execute(":workers")
        shell.execute(":top -n 2")
    finally:
        session.close()
    (_, workers), *pictures = output.values
    assert isinstance(workers[0]["memory"], int)
    assert [picture["workers"][0]["status"]["worker"] for _, picture in pictures] == [1, 1]
    assert all(picture["rate"] == 0 for _, picture in pictures)


def test_servers_are_listed_and_joined(shell: Shell, output: Recording, address: str) -> None:
    shell.execute(":servers")
    (row,) = [line for line in output.texts[-1].splitlines() if f" {address} " in line]
    pid = row.split()[0]
    for name in (pid, shell.supervisor.attach(address).path):
        shell.execute(f":connect {name}")
        assert str(shell.session.target) == address
        assert output.notes[-1].startswith(f"pid {pid} · 1 sync worker")


def test_a_server_that_says_nothing_is_named_and_holds_up_nobody_else(
    shell: Shell, output: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    silent = SilentServer(os.getpid())
    with (
        running("-w", "1", folder=tmp_path) as server,
        serving(Peer.wait_for_end, unix=tmp_path / "rpcserver" / "0.sock"),
    ):
        for told in ask_local_servers(DEADLINE):
            assert told != silent
            if isinstance(told, LocalServer) and told.status.pid == server.pid:
                break
        monkeypatch.setattr("rpcshell.commands.server._LISTING_TIMEOUT", 0.2)
        shell.execute(":servers")
    assert f"a server says nothing within 0.2 s: its process is {silent.pid}" in output.notes


def test_connecting_to_a_server_that_does_not_tell_its_workers_is_not_held_up(
    shell: Shell, output: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("rpcshell.servers.directory._STATUS_TIMEOUT", 3600.0)
    (tmp_path / "rpcserver").mkdir(0o700)
    # By its sockets, this process is the server that listens there.
    with serving(offering("add")) as there, serving(Peer.wait_for_end, unix=tmp_path / "rpcserver" / "0.sock"):
        shell.execute(f":connect {there.target}")
    assert output.notes[-1].startswith(f"connected to {there.target}")


def test_top_prints_tables_with_rates(connected: Shell, output: Recording) -> None:
    connected.execute(":top -n 1")
    titles, _, worker = output.texts[-1].splitlines()
    assert titles.split()[-1] == "calls/s"
    assert worker.split()[-1] == "0"
    assert output.notes[-1].startswith("0 calls/s · pid ")


@pytest.mark.parametrize("line", [":top", ":top | cat"])
def test_top_needs_a_terminal(connected: Shell, line: str) -> None:
    with pytest.raises(UsageError) as raised:
        connected.execute(line)
    assert ":workers shows the same once" in str(raised.value)


@pytest.fixture
def plain_shell(output: Recording) -> Iterator[Shell]:
    session = Session(plain=True, background=False)
    yield Shell(session, output, load_commands)
    session.close()


def test_without_a_server_nothing_is_shown(plain_shell: Shell) -> None:
    for line in (":workers", ":top -n 1"):
        with pytest.raises(NotConnected):
            plain_shell.execute(line)


@pytest.mark.parametrize(("text", "says"), [("+1", "how many there shall be"), ("x", "not a valid number of workers")])
def test_scaling_takes_how_many_workers_there_shall_be(plain_shell: Shell, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        plain_shell.execute(f":scale {text}")


def test_what_a_server_says_of_itself_is_shown_safely() -> None:
    worker = WorkerStatus(1, 2, call=RunningCall("a\x1b[2J", 2.0), calls_running=3, busy=1.5, memory=2_500_000)
    status = ServerStatus(
        pid=3,
        model="sync\x07",
        workers=[worker],
        totals=TotalStatus(calls=9, errors=1, died=2, lost=1),
        listeners=[ListenerStatus("a:1", 4, 128)],
        phase="draining",
        generation=2,
        reloading=True,
        registration=RegistrationStatus("zk://h:2181/a", "10.0.0.1:80", "away", problem="gone\x07"),
    )
    assert "the registry zk://h:2181/a is away (gone\\x07)" in server_line(status).split(" · ")
    assert "\x07" not in server_line(status)
    for part in ("queue 4/128", "9 calls", "1 error", "2 died, 1 call lost", "generation 2", "reloading", "draining"):
        assert part in server_line(status).split(" · ")
    row = worker_row(worker, status)
    assert (row["state"], row["busy"], row["rss"]) == ("busy", "150%", "2.5 MB")
    assert row["call"].endswith("2.0 s (of 3)")
    assert (row["pss"], row["uss"]) == ("-", "-")
    sharing = replace(worker, pss=2_000_000, uss=500_000)
    assert (worker_row(sharing, status)["pss"], worker_row(sharing, status)["uss"]) == ("2 MB", "500 kB")
    preloaded = replace(status, workers=[sharing], stems=[StemStatus(8, state="retired"), StemStatus(9, pss=5_000_000)])
    assert "stem pid 9" in server_line(preloaded).split(" · ")
    preloaded = replace(preloaded, stems=preloaded.stems[1:])
    assert "stem pid 9, 7 MB with its workers" in server_line(preloaded).split(" · ")
    stalled = replace(worker, stalled=True)
    assert worker_row(stalled, status)["state"] == "stalled"
    assert "1 stalled" in server_line(replace(status, workers=[stalled])).split(" · ")


def test_people_see_tables_also_where_results_are_json(address: str) -> None:
    output = Recording()
    session = Session(background=False)
    session.connect(address)
    try:
        shell = Shell(session, output, load_commands, interactive=True)
        shell.settings.set("format", "json")
        shell.execute(":workers")
    finally:
        session.close()
    assert output.values == []
    assert "worker" in output.texts[0]
