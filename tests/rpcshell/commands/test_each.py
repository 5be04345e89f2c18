"""`:each`: who answered what, and where the answers differ."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.client.errors import CallError, NotConnected, ShellError, UsageError
from rpcshell.commands import load_commands
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.settings import Settings
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server

pytestmark = needs_server

APP = """
from rpcserver import Context, RpcError, Service

service = Service("differing")

@service.method(out="config")
def config(context: Context) -> dict:
    number = context.worker.worker
    keys = ["a", "\\x1b[31m"] if number == 2 else ["a"]
    return {"cache": {"version": 6 if number == 3 else 7, "keys": keys}, "mode": "live"}

@service.method(out="pong")
def ping(params):
    return params

@service.method
def fail(context: Context, everywhere: bool) -> str:
    if everywhere or context.worker.worker == 2:
        raise RpcError("not on this one", data={"retry": False})
    return "fine"
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("differing")
    (folder / "differing.py").write_text(APP)
    session = Session(background=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        session.spawn(SpawnOptions(3, str(folder / "differing.py")))
    yield session
    session.close()


@pytest.fixture
def everywhere(session: Session, output: Recording) -> Shell:
    return Shell(session, output, load_commands, interactive=True)


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if "─" not in line]


def test_what_all_answer_is_shown_once(everywhere: Shell, output: Recording) -> None:
    # The session's own connection holds a worker, which is reached all the same.
    everywhere.execute("ping a=1")
    everywhere.execute(":each ping a=1")
    head, *rows = table(output.texts[0])
    assert head == ["worker", "pid", "time"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert output.values == [("pong", {"a": 1})]
    assert output.notes == ["all 3 workers answered that"]
    assert [answer["result"] for answer in everywhere.variables["_"]] == [{"a": 1}] * 3


def test_the_places_that_differ_are_marked_with_who_has_what(everywhere: Shell, output: Recording) -> None:
    everywhere.execute(":each config")
    assert [row[-1][:20] for row in table(output.texts[0])[1:]] == ['{"cache":{"version":'] * 3
    assert output.texts[1] == (
        "≠ $.cache.version\n"
        "    7  workers 1, 2\n"
        "    6  worker 3\n"
        "≠ $.cache.keys[1]\n"
        "    (not there)   workers 1, 3\n"
        '    "\\u001b[31m"  worker 2'
    )
    assert output.notes == ["3 different answers of 3 workers"]


def test_programs_get_all_of_it_as_json(everywhere: Shell, output: Recording) -> None:
    everywhere.interactive = False
    everywhere.settings = Settings()
    everywhere.settings.set("format", "json")
    everywhere.execute(":each config")
    ((_, value),) = output.values
    assert (value["method"], value["same"], value["groups"], value["not_reached"]) == (
        "config",
        False,
        [[1], [2], [3]],
        [],
    )
    assert [answer["worker"] for answer in value["answers"]] == [1, 2, 3]
    assert value["answers"][2]["result"]["cache"] == {"version": 6, "keys": ["a"]}
    assert value["differences"] == [
        {"path": "$.cache.version", "values": [{"workers": [1, 2], "value": 7}, {"workers": [3], "value": 6}]},
        {"path": "$.cache.keys[1]", "values": [{"workers": [1, 3]}, {"workers": [2], "value": "\x1b[31m"}]},
    ]


def test_an_error_is_an_answer_and_ends_a_script(everywhere: Shell, output: Recording) -> None:
    with pytest.raises(ShellError, match="1 of 3 workers did not answer with a result") as raised:
        everywhere.execute(":each fail everywhere=false")
    assert raised.value.exit_code == 1
    assert [row[4:] for row in table(output.texts[0])[1:]] == [
        ["A", "fine"], ["B", "error", "-32000:", "not", "on", "this", "one"], ["A", "fine"],
    ]  # fmt: skip
    assert everywhere.variables["_"][1]["error"] == {
        "code": -32000, "message": "not on this one", "data": {"retry": False},
    }  # fmt: skip
    with pytest.raises(CallError, match="not on this one"):
        everywhere.execute(":each fail everywhere=true")
    assert len(output.texts) == 1


def test_a_worker_that_is_held_is_named_and_the_script_ends(everywhere: Shell, output: Recording) -> None:
    assert everywhere.session.server is not None
    host, _, port = everywhere.session.server.addresses[0].rpartition(":")
    everywhere.session.hang_up()
    with (
        socket.create_connection((host, int(port))),
        pytest.raises(ShellError, match="1 of 3 workers could not be reached"),
    ):
        everywhere.execute(":each ping")
    assert output.notes[0] == "2 workers answered that"
    assert "was not reached: an idle connection of another client holds it" in output.notes[1]


def test_it_is_for_servers_of_ones_own(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(NotConnected):
        shell.execute(":each ping")
    with pytest.raises(UsageError, match="is no call"):
        shell.execute(":each :help")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        shell.session.connect(f"127.0.0.1:{stranger.getsockname()[1]}", plain=True)
        with pytest.raises(UsageError, match="no server of yours on this machine"):
            shell.execute(":each ping {}")
