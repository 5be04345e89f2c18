"""What instances of a fleet tell of themselves, at their control sockets or as metrics."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.errors import ProtocolError
from rpcshell.client.fleet.instances import InstanceState
from rpcshell.client.target import Target, TcpTarget
from rpcshell.lab.top.fleet_feed import FleetFeed, InstanceLine
from rpcshell.lab.top.instance_reading import InstanceReading, Rates, of_metrics
from tests.rpcshell.commands.conftest import needs_server
from tests.servers import running

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


def looked_at(feed: FleetFeed, *instances: InstanceState) -> list[InstanceLine]:
    """What is known once all that can be asked have answered."""
    lines = feed.look(instances)
    while any(line.reading is None for line in lines):
        assert not any(line.problem for line in lines)
        lines = feed.look(instances)
    return lines


@needs_server
def test_metrics_tell_the_same_as_the_control_socket(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
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
        (line,) = feed.look([InstanceState(ELSEWHERE)])
        assert line.problem.startswith("not one of yours on this machine")
        gone = InstanceState(ELSEWHERE, metrics="http://127.0.0.1:1/metrics")
        while not (line := feed.look([gone])[0]).problem:
            pass
        assert "cannot be read" in line.problem
