"""Commands over a server that speaks something else than the native protocol: our own, at an address with a framing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rpcshell.client.errors import CallError, ConnectionLost, UsageError
from rpcshell.client.target import ChildTarget, Target
from rpcshell.commands import load_commands
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.config import Config
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcwire import encode_value
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.enveloped import KEA
from tests.rpcshell.peers import DEADLINE, Peer, serving
from tests.servers import needs_server

pytestmark = needs_server


@pytest.fixture(scope="module")
def framed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpawnedServer]:
    """A server that listens for JSON-RPC alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        server = SpawnedServer.start(SpawnOptions(2, model="thread", bind=("line+tcp://127.0.0.1:0",)))
    yield server
    server.stop()


@pytest.fixture
def connected(shell: Shell, framed: SpawnedServer) -> Shell:
    shell.execute(f":connect {framed.addresses[0]}")
    return shell


def test_a_server_is_spawned_at_an_address_with_a_framing(shell: Shell, output: Recording) -> None:
    shell.execute(":spawn 1 --bind line+tcp://127.0.0.1:0")
    assert shell.session.target is not None
    assert shell.session.target.dialect == "jsonrpc+line"
    assert f"on {shell.session.target} in" in output.texts[-1]
    shell.execute("ping a=1")
    assert output.results[-1].result == {"a": 1}
    assert "ping" in shell.session.catalog.methods
    shell.execute(":stop")
    assert shell.session.target is None


def test_a_server_that_is_spawned_says_which_one_was_left_for_it(
    shell: Shell, output: Recording, framed: SpawnedServer
) -> None:
    (address,) = framed.addresses
    shell.execute(f":connect {address}")
    shell.execute(":spawn 1")
    assert output.notes[-1].endswith(
        f"a server of rpcshell's own; {address} was left, and :connect {address} goes back"
    )
    notes = len(output.notes)
    assert shell.session.server is not None
    shell.session.server.stop()
    shell.execute(":spawn 1")
    assert not any("was left" in note for note in output.notes[notes:])
    shell.execute(":stop")


def once(peer: Peer) -> None:
    """A call, a reply, and the end."""
    request = json.loads(peer.sock.recv(65536))
    peer.sock.sendall(encode_value({"result": 0, "arguments": request.get("arguments")}))


def test_a_call_in_a_dialect_of_the_configuration_is_exported_with_its_table(output: Recording, tmp_path: Path) -> None:
    session = Session(background=False, config=Config(dialects={"once": KEA}))
    shell = Shell(session, output, load_commands, interactive=True)
    with serving(once) as server, closing(session):
        shell.execute(f":connect once:{server.target}")
        shell.execute("echo {a: 1}")
        shell.execute(f":export python -o {tmp_path}/calls.py")
        # A program knows no configuration.
        done = subprocess.run([sys.executable, f"{tmp_path}/calls.py"], capture_output=True, text=True, check=True)
        assert done.stdout == "{'a': 1}\n"


def test_a_native_address_is_preferred(tmp_path: Path, shell: Shell, output: Recording) -> None:
    framed, native = f"nul+unix:{tmp_path}/nul.sock", f"unix:{tmp_path}/native.sock"
    server = SpawnedServer.start(SpawnOptions(1, bind=(framed, native)))
    try:
        assert server.addresses == (native, f"jsonrpc+nul:unix:{tmp_path}/nul.sock")
        shell.execute(f":connect {server.pid}")
        assert str(shell.session.target) == native
        shell.execute(f":connect {framed}")
        shell.execute(":workers")
        shell.execute(":each ping [1]")
        assert output.notes[-1] == "1 worker answered that"
    finally:
        server.stop()


def test_it_is_listed_and_found_by_its_process_id_and_address(
    shell: Shell, output: Recording, framed: SpawnedServer
) -> None:
    shell.execute(":servers")
    assert any(f" {framed.addresses[0]} " in line for line in output.texts[-1].splitlines())
    port = framed.addresses[0].rpartition(":")[2]
    for name in (str(framed.pid), f"line+tcp://127.0.0.1:{port}"):
        shell.execute(f":connect {name}")
        assert shell.session.target == Target.parse(framed.addresses[0])
        shell.execute("ping [1]")
        shell.execute(":disconnect")


def test_frames_are_shown_by_their_framing(connected: Shell, output: Recording) -> None:
    connected.execute("ping [1]")
    connected.execute(":wire last")
    shown = output.texts[-1]
    assert shown.count("the end of the line") == 2
    assert '"method":"ping","params":[1]}' in shown
    assert '"result":[1]' in shown


def test_the_guesses_that_a_server_was_told_by_are_shown_beside_its_calls(
    shell: Shell, output: Recording, framed: SpawnedServer
) -> None:
    with pytest.raises(UsageError, match="nothing had to be found out"):
        shell.execute(":wire guesses")
    shell.execute(f":connect {framed.addresses[0].removeprefix('jsonrpc+line:')}")
    shell.execute("ping [1]")
    shell.execute(":wire last")
    assert "found out" in output.notes[-1]
    assert '"id":1,"method":"ping"' in output.texts[-1]
    shell.execute(":wire guesses")
    assert "speaks jsonrpc" in output.texts[-1]
    assert '{"jsonrpc":"2.0"' in output.texts[-1]
    assert output.texts[-1].count("\n→") > 1


@pytest.mark.samples(1)
@pytest.mark.parametrize("options", ["--calls 200 -c 4", "--calls 40 -c 2 --rate 400"])
def test_load_on_a_server_of_another_dialect(connected: Shell, output: Recording, options: str) -> None:
    connected.execute(f":bench ping [1] {options} --json")
    measured = output.values[-1][1]
    assert measured["calls"] == int(options.split()[1])
    assert measured["problems"] == {}
    with pytest.raises(UsageError, match="--pipeline is for rpcshell's own protocol"):
        connected.execute(":bench ping [1] --calls 2 --pipeline 2")


def monitor(peer: Peer) -> None:
    """Greets, and has nothing to say in return for a command."""
    peer.sock.sendall(b'{"QMP": {}}\n')
    for line in peer.sock.makefile("rb"):
        peer.sock.sendall(encode_value({"return": [], "id": json.loads(line)["id"]}) + b"\n")


def test_load_on_a_monitor_takes_the_only_connection_that_it_serves(shell: Shell, output: Recording) -> None:
    with serving(*[monitor] * 3) as server:
        shell.execute(f":connect qmp:{server.target}")
        with pytest.raises(UsageError, match="serves one client at a time"):
            shell.execute(":bench query-status --calls 2 -c 2")
        shell.execute(":bench query-status --calls 2 --json")
    assert output.values[-1][1]["plan"]["connections"] == 1


PEER = Path(__file__).parents[1] / "jsonrpc_peer.py"


@pytest.fixture
def child(shell: Shell) -> Shell:
    target = ChildTarget((sys.executable, str(PEER), "line"), env=(("API_TOKEN", "hush"),), dialect="jsonrpc+line")
    shell.session.connect(target)
    return shell


def test_load_on_a_child_takes_its_environment_along(shell: Shell, output: Recording) -> None:
    argv = ("sh", "-c", '[ "$API_TOKEN" = hush ] && exec "$0" "$@"', sys.executable, str(PEER), "line")
    shell.session.connect(ChildTarget(argv, env=(("API_TOKEN", "hush"),), dialect="jsonrpc+line"))
    shell.execute(":bench add [1,2] --calls 20 -c 2 --json")
    measured = output.values[-1][1]
    assert measured["calls"] == 20
    assert "env" not in measured["plan"]


def test_a_call_to_a_child_is_exported_without_its_environment(child: Shell, output: Recording) -> None:
    child.execute("add [1, 2]")
    for kind in ("python", "shell", "pytest"):
        child.execute(f":export {kind}")
        assert "jsonrpc+line:exec:" in output.texts[-1]
        assert "hush" not in output.texts[-1]
        assert output.notes[-1].startswith("the environment of jsonrpc+line:exec:")


def test_why_says_of_a_foreign_error_what_is_true(
    child: Shell, output: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcshell.client.child._LEAVING", DEADLINE)
    with pytest.raises(CallError):
        child.execute("refuse []")
    child.execute(":why")
    text = " ".join(output.texts[-1].split())
    assert "the server answered with an error after" in text
    assert "--debug" not in text
    with pytest.raises(ConnectionLost):
        child.execute("end [3]")
    child.execute(":why")
    text = " ".join(output.texts[-1].split())
    assert "exit status 3" in text
    assert "server a child of this shell: what it says beside the protocol is in :logs" in text


@pytest.mark.parametrize("line", [":each ping", ":wire send split", ":drill kill 1 --yes"])
def test_what_takes_the_native_protocol_says_so(connected: Shell, line: str) -> None:
    with pytest.raises(UsageError, match="takes a server that speaks rpcshell's own protocol, and jsonrpc"):
        connected.execute(line)
