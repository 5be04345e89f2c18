"""Commands over a fleet of real servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from rpcshell.client.broadcast import Broadcast
from rpcshell.client.errors import Cancelled, ShellError, UsageError
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.peers import free_port
from tests.servers import needs_server

pytestmark = needs_server

APP = """
from rpcserver import Service

service = Service("calc", version="1.{number}")

@service.method(idempotent=True)
def number() -> int:
    return {number}

@service.method
def same(params):
    return params
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SpawnedServer]]:
    """Two servers that offer different things, as while a deploy is under way."""
    folder = tmp_path_factory.mktemp("fleet")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("XDG_STATE_HOME", str(folder))
        started = []
        for number in (2, 3):
            app = folder / f"app{number}.py"
            app.write_text(APP.format(number=number))
            bind = (f"127.0.0.{number}:0",)
            server = SpawnedServer.start(SpawnOptions(workers=number - 1, app=str(app), model="async", bind=bind))
            stack.callback(server.stop)
            started.append(server)
        yield started


def addresses(servers: list[SpawnedServer]) -> list[str]:
    return [server.addresses[0] for server in servers]


@pytest.fixture
def fleet(shell: Shell, servers: list[SpawnedServer]) -> Shell:
    shell.session.connect(",".join(addresses(servers)))
    return shell


def as_json(shell: Shell, output: Recording, line: str) -> Any:
    shell.interactive = False
    shell.settings.format = "json"
    shell.execute(line)
    return output.values[-1][1]


def test_servers_lists_the_instances_and_how_they_are(fleet: Shell, servers: list[SpawnedServer]) -> None:
    output = fleet.output
    assert isinstance(output, Recording)
    gone = f"127.0.0.4:{free_port()}"
    fleet.session.connect(",".join([*addresses(servers), gone]))
    assert fleet.session.fleet is not None
    while fleet.session.fleet.count == "3":
        fleet.execute("number")
    fleet.execute(":servers")
    rows = {row[0]: row[1:] for row in map(str.split, output.texts[0].splitlines())}
    assert rows[addresses(servers)[0]][0] == "ready"
    assert rows[gone][0] == "ejected,"
    assert f"{gone}: connection refused" in output.notes
    found = {one["address"]: one for one in as_json(fleet, output, ":servers")["instances"]}
    assert found[gone]["state"] == "ejected"
    assert found[gone]["failed"] == 1
    assert sum(one["calls"] for one in found.values()) >= 2


def test_workers_are_those_of_all_instances_that_are_here(fleet: Shell, servers: list[SpawnedServer]) -> None:
    output = fleet.output
    assert isinstance(output, Recording)
    fleet.execute(":workers")
    listed = [row.split()[:2] for row in output.texts[0].splitlines()[2:]]
    first, second = addresses(servers)
    assert listed == [[first, "1"], [second, "1"], [second, "2"]]
    fleet.session.connect(f"{first},127.0.0.4:{free_port()}")
    fleet.execute(":workers")
    assert output.notes[-1].endswith("not one of yours on this machine; what its workers do is not seen from here")


def test_what_is_done_to_one_server_is_refused_with_what_to_do(fleet: Shell) -> None:
    with pytest.raises(UsageError, match=r"is several servers, and this is done to one"):
        fleet.execute(":scale 3")


def test_all_asks_every_instance_and_shows_who_differs(fleet: Shell, servers: list[SpawnedServer]) -> None:
    output = fleet.output
    assert isinstance(output, Recording)
    first, second = addresses(servers)
    fleet.execute(":each same a=1")
    assert output.values == [("same", {"a": 1})]
    assert output.notes == ["all 2 instances answered that"]
    assert [answer["instance"] for answer in fleet.variables["_"]] == [first, second]
    gone = f"127.0.0.4:{free_port()}"
    fleet.session.connect(",".join([first, second, gone]))
    with pytest.raises(ShellError, match="1 of 3 instances could not be reached: the call did not run there"):
        as_json(fleet, output, ":each number")
    found = output.values[-1][1]
    assert (found["same"], found["groups"]) == (False, [[first], [second]])
    assert found["differences"] == [
        {"path": "$", "values": [{"instances": [first], "value": 2}, {"instances": [second], "value": 3}]}
    ]
    assert found["not_reached"] == [{"instance": gone, "reason": "connection refused"}]


def test_ctrl_c_once_all_have_answered_names_nobody(fleet: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Broadcast.run

    def run_and_be_interrupted(cast: Broadcast, method: str, params: object) -> None:
        run(cast, method, params)
        raise KeyboardInterrupt

    monkeypatch.setattr(Broadcast, "run", run_and_be_interrupted)
    with pytest.raises(Cancelled, match=r"^cancelled: nobody is running it any more$"):
        fleet.execute(":each same 1")


def test_top_prints_a_line_for_each_instance(fleet: Shell, servers: list[SpawnedServer]) -> None:
    output = fleet.output
    assert isinstance(output, Recording)
    first, second = as_json(fleet, output, ":top -n 1")
    assert [first["address"], second["address"]] == addresses(servers)
    assert [first["workers"], second["workers"]] == [1, 2]
    assert first["state"] == "ready"
    assert first["rate"] is None or first["rate"] >= 0
    with pytest.raises(ShellError, match="its output goes elsewhere"):
        fleet.execute(":top")
