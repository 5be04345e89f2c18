"""What instances of a fleet tell of themselves, at their control sockets or as metrics."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.errors import ProtocolError
from rpcshell.client.fleet.instances import InstanceState
from rpcshell.client.target import Target, TcpTarget
from rpcshell.lab.top import fleet_feed
from rpcshell.lab.top.fleet_feed import FleetFeed, InstanceLine
from rpcshell.lab.top.instance_reading import InstanceReading, Rates, of_metrics
from rpcshell.servers.directory import LocalServer
from rpcshell.servers.listeners import is_on_this_machine
from tests.rpcshell.peers import Peer, serving
from tests.servers import PATIENCE, needs_server, running

ELSEWHERE = TcpTarget("192.0.2.1", 1)
"""An address that is nobody's (RFC 5737)."""


def reading(at: float, calls: int, busy: float = 0.0) -> InstanceReading:
    return InstanceReading(
        at=at,
        model="sync",
        workers=2,
        ready=2,
        stalled=0,
        connections=0,
        waiting=0,
        memory=0,
        generation=0,
        calls=calls,
        errors=0,
        busy_seconds=busy,
        died=0,
    )


def test_rates_are_of_the_last_two_seconds_and_of_one_process() -> None:
    assert Rates.between([reading(0, 5)]) is None
    assert Rates.between([reading(0, 0), reading(9, 10, 1), reading(10, 30, 2)]) == Rates(20, 0.5)
    # It was started anew in between.
    assert Rates.between([reading(9, 1000), reading(10, 3)]) is None


SAMPLES = st.builds(
    "rpcserver_{}{{{}}} {}".format, st.sampled_from(["workers", "requests_total", "server_info"]), st.text(), st.text()
)


@given(st.lists(SAMPLES | st.text()).map("\n".join))
def test_whatever_is_scraped_is_a_reading_or_no_metrics_of_ours(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        of_metrics(text, 0.0)


def test_long_names_and_numbers_that_nobody_could_count_take_no_time_and_no_room() -> None:
    text = f"rpcserver_requests_total 5\nrpcserver_workers{{{'a' * 1_000_000}}} 2\nrpcserver_errors_total 9e299\n"
    found = of_metrics(text, 0.0)
    assert (found.calls, found.workers, found.errors) == (5, 2, 0)


def looked_at(feed: FleetFeed, *instances: InstanceState) -> list[InstanceLine]:
    """What is known once all that can be asked have answered."""
    lines = feed.look(instances)
    while any(line.reading is None for line in lines):
        assert not any(line.problem for line in lines)
        lines = feed.look(instances)
    return lines


@pytest.mark.thorough
@needs_server
def test_metrics_tell_the_same_as_the_control_socket(tmp_path: Path) -> None:
    with running("-w", "2", "--metrics", "127.0.0.1:0", folder=tmp_path) as server, FleetFeed() as feed:
        found = re.search(r"metrics are at (\S+)", server.wait_for_log("metrics are at "))
        assert found is not None
        with server.connect() as client:
            client.call("echo", 1)
            client.call("nothing")
        here = InstanceState(Target.parse(server.addresses[0]))
        scraped, told = looked_at(feed, InstanceState(ELSEWHERE, metrics=found[1]), here)
        assert scraped.reading is not None
        assert told.reading is not None
        for name in ("model", "workers", "ready", "stalled", "waiting", "calls", "errors", "generation", "died"):
            assert getattr(scraped.reading, name) == getattr(told.reading, name), name
        assert (scraped.reading.calls, scraped.reading.errors, scraped.reading.workers) == (2, 1, 2)
        assert scraped.reading.memory > 1_000_000


def test_what_cannot_be_asked_is_told_of() -> None:
    with FleetFeed() as feed:
        while not (line := feed.look([InstanceState(ELSEWHERE)])[0]).problem:
            pass
        assert line.problem.startswith("not one of yours on this machine")
        gone = InstanceState(ELSEWHERE, metrics="http://127.0.0.1:1/metrics")
        while not (line := feed.look([gone])[0]).problem:
            pass
        assert "cannot be read" in line.problem


def test_what_cannot_be_asked_is_told_of_while_it_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def search(*_: object) -> dict[Target, LocalServer]:
        assert held.wait(PATIENCE)
        return {}

    with FleetFeed() as feed:
        while not (line := feed.look([InstanceState(ELSEWHERE)])[0]).problem:
            pass
        monkeypatch.setattr(fleet_feed, "_AGAIN", -1.0)
        monkeypatch.setattr(fleet_feed, "servers_at", search)
        assert feed.look([InstanceState(ELSEWHERE)])[0].problem == line.problem
        held.set()


@needs_server
def test_an_instance_whose_arbiter_hangs_holds_up_no_look_at_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with (
        running("-w", "1", folder=tmp_path) as server,
        # By its sockets, this process is the other one.
        serving(Peer.wait_for_end) as hanging,
        serving(Peer.wait_for_end, unix=tmp_path / "rpcserver" / "0.sock"),
        FleetFeed() as feed,
    ):
        here = InstanceState(Target.parse(server.addresses[0]))
        (first,) = looked_at(feed, here)
        assert first.reading is not None
        monkeypatch.setattr(fleet_feed, "_TIMEOUT", 3600.0)
        later, silent = feed.look([here, InstanceState(hanging.target)])
        while later.reading is None or later.reading.at == first.reading.at:
            later, silent = feed.look([here, InstanceState(hanging.target)])
        assert (later.problem, silent.problem) == ("", "")


@needs_server
def test_an_instance_whose_arbiter_hangs_is_said_to_be_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(fleet_feed, "_TIMEOUT", 0.3)
    (tmp_path / "rpcserver").mkdir(0o700)
    with (
        serving(Peer.wait_for_end) as hanging,
        serving(Peer.wait_for_end, unix=tmp_path / "rpcserver" / "0.sock"),
        FleetFeed() as feed,
    ):
        while not (line := feed.look([InstanceState(hanging.target)])[0]).problem:
            pass
        assert line.problem == f"does not say what it is: its process is {os.getpid()}"


def test_metrics_without_an_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_feed, "_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener, FleetFeed() as feed:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
        endless = InstanceState(ELSEWHERE, metrics=url)
        feed.look([endless])
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not (line := feed.look([endless])[0]).problem:
                with contextlib.suppress(OSError):
                    connection.send(b"#")
        assert line.problem == f"{url} cannot be read: timed out"


def test_nobody_waits_for_a_look_that_hangs_when_all_is_left() -> None:
    code = (
        "import threading; from rpcshell.client.daemon_threads import DaemonThreads\n"
        "threads = DaemonThreads('look', 1); begun = threading.Event()\n"
        "first = threads.submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait(); second = threads.submit(print, 'never'); threads.shutdown(cancel_futures=True)\n"
        "print(first.running(), second.cancelled())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert found.stdout == "True True\n"


def test_a_host_that_can_have_no_address_has_none() -> None:
    nowhere = TcpTarget("a..b", 1)
    with FleetFeed() as feed:
        while not (line := feed.look([InstanceState(nowhere, metrics="http://a..b:1/metrics")])[0]).problem:
            pass
        assert "cannot be read" in line.problem
    assert not is_on_this_machine(nowhere)
