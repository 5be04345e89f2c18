from __future__ import annotations

from rpcshell.client.fleet.instances import Candidate, Listed
from rpcshell.client.fleet.spares import Spares
from rpcshell.client.target import Target


def candidate(port: int, model: str = "sync") -> Candidate:
    return Candidate(Listed(Target.parse(f"127.0.0.1:{port}"), model=model, workers=4))


def test_connections_that_no_call_needed_are_spare() -> None:
    one = candidate(1)
    idle = {one: ["a", "b", "c"]}
    spares = Spares(idle)
    assert spares.take_out(1.0) == []
    idle[one].pop()
    spares.took_from(one)
    idle[one].append("c")
    assert spares.take_out(1.05) == []
    assert spares.take_out(1.15) == ["a", "b"]
    assert idle == {one: ["c"]}
    assert spares.take_out(1.3) == ["c"]
    assert spares.take_out(1.5) == []


def test_connections_that_came_meanwhile_are_not_spare() -> None:
    one, other = candidate(1), candidate(2)
    idle = {one: ["a"]}
    spares = Spares(idle)
    spares.take_out(1.0)
    idle[one].pop()
    spares.took_from(one)
    idle[one] += ["a", "b"]
    idle[other] = ["c"]
    assert spares.take_out(2.0) == []


def test_an_instance_whose_connections_ended_meanwhile_has_none_to_spare() -> None:
    one = candidate(1)
    idle = {one: ["a", "b"]}
    spares = Spares(idle)
    spares.take_out(1.0)
    idle[one].clear()
    assert spares.take_out(2.0) == []
    idle.clear()
    assert spares.take_out(3.0) == []


def test_only_a_connection_to_a_sync_server_keeps_others_out() -> None:
    one = candidate(1, "thread")
    idle = {one: ["a"]}
    spares = Spares(idle)
    assert spares.take_out(1.0) == spares.take_out(2.0) == []
    assert idle == {one: ["a"]}
