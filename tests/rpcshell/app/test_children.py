"""Targets that are more than an address: children behind `--`, named ones of the configuration, files of others."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.rpcshell.app.test_cli import run

PEER = [sys.executable, str(Path(__file__).parents[1] / "jsonrpc_peer.py"), "line"]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_what_follows_two_dashes_is_the_command_of_a_child() -> None:
    assert run("jsonrpc+line", "-c", "add [1, 2]", "--", *PEER) == (0, "3\n", "")
    assert run("jsonrpc+line", "add", "[1, 2]", "--", *PEER) == (0, "3\n", "")
    # Options and dashes of the child are its own.
    assert run("jsonrpc+line", "-c", "add [1, 2]", "--", *PEER, "-c", "--plain", "--", "x y") == (0, "3\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["jsonrpc+lime", "-c", "x", "--", "a"], "the dialect jsonrpc has no framing 'lime'"),
        (["jsonrpc", "-c", "x"], "'jsonrpc' is a dialect, and no target (write jsonrpc:ADDRESS or jsonrpc -- COMMAND)"),
        (["-c", "x", "--", "8080", "b", "c"], "only one of them"),
        (["jsonrpc", "-c", "x", "--", "/no/such/program"], "there is no program /no/such/program"),
    ],
)
def test_what_makes_no_sense_is_said(words: list[str], says: str) -> None:
    code, out, err = run(*words)
    assert code in (2, 3)
    assert out == ""
    assert says in err


def test_commands_of_children_in_connect() -> None:
    lines = [f":connect jsonrpc+line -- {shlex.join(PEER)} --plain", "add [1, 2]"]
    lines += [f":connect jsonrpc+line:exec:{shlex.join(PEER)} --plain", "add [3, 4]", ":connect 80 81"]
    lines += [":connect mpc -- npx"]
    code, out, err = run("-k", stdin="\n".join(lines))
    assert (code, out) == (2, "3\n7\n")
    assert "80 and 81 are two targets" in err
    assert "there is no dialect 'mpc'" in err


def test_a_named_target_has_a_command_an_environment_and_lines_to_begin_with(tmp_path: Path) -> None:
    # The child only serves where its environment and its folder are right.
    script = f'test "$WORD" = "open sesame" && test "$PWD" = {shlex.quote(str(tmp_path))} && exec {shlex.join(PEER)}'
    config = tmp_path / "config.toml"
    config.write_text(
        f"""\
[targets.cave]
dialect = "jsonrpc+line"
command = ["sh", "-c", {json.dumps(script)}]
env = {{ WORD = "open ${{MAGIC:-says me}}" }}
cwd = "."
init = ["x = add [20, 1]", "echo [1]"]
"""
    )
    magic = {**os.environ, "MAGIC": "sesame"}
    assert run("--config", config, "cave", "-c", "add [$x, 2]", env=magic) == (0, "23\n", "")
    code, _, err = run("--config", config, "cave", "-c", "add [$x, 2]")
    assert code == 3
    assert "the child ended with exit status 1" in err
    assert "sesame" not in err.replace(script, "")
    config.write_text(config.read_text().replace("echo [1]", "nope"))
    code, out, err = run("--config", config, "cave", "-c", "add [$x, 2]", env=magic)
    assert (code, out) == (1, "")
    assert "line 2 of init of cave failed: Method not found" in err
    config.write_text(config.read_text().replace(":-says me", ""))
    code, _, err = run("--config", config, "cave", "-c", "add [$x, 2]")
    assert (code, "the environment variable MAGIC is not set" in err) == (2, True)


def test_what_a_target_offers_is_read_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    method = {"name": "echo", "params": [{"name": "word"}]}
    (tmp_path / "api.json").write_text(json.dumps({"openrpc": "1.3.2", "info": {}, "methods": [method]}))
    config = tmp_path / "config.toml"
    config.write_text(f'[targets.a]\ndialect = "jsonrpc+line"\ncommand = {json.dumps(PEER)}\nopenrpc = "api.json"\n')
    code, out, err = run("--config", config, "a", "-c", ":methods")
    assert (code, err) == (0, "")
    assert "echo" in out
    assert "add" not in out


def test_the_lines_of_a_target_are_run_again_on_each_new_connection(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    command = json.dumps(PEER)
    config.write_text(f'[targets.a]\ndialect = "jsonrpc+line"\ncommand = {command}\ninit = ["echo [1]", "add [1]"]\n')
    lines = ("received", "end", "received")
    words = [word for line in lines for word in ("-c", line)]
    code, out, err = run("--config", config, "-k", "a", *words)
    assert (code, err.count("lost the connection")) == (3, 1)
    first, again = map(json.loads, out.splitlines())
    assert [method for method in first if not method.startswith(("rpc.", "system."))] == ["echo", "add", "received"]
    assert [method for method in again if not method.startswith(("rpc.", "system."))] == ["echo", "add", "received"]


ASKING = """
import json, sys

for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        told = message["params"]["capabilities"]
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
    elif message.get("method") == "tools/call":
        asked, params = message["id"], {"told": "sampling" in told, "maxTokens": 1.50}
        said = {"id": "s", "method": "sampling/createMessage", "params": params}
        print(json.dumps({"jsonrpc": "2.0", **said}), flush=True)
        continue
    elif message.get("id") == "s":
        message["id"], result = asked, {"structuredContent": {key: message.get(key) for key in ("result", "error")}}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""
MODEL = "import json, sys; print(json.dumps({'role': 'assistant', 'asked': json.load(sys.stdin)}))"


@pytest.mark.samples(2)
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (MODEL, '{"result":{"role":"assistant","asked":{"told":true,"maxTokens":1.5}},"error":null}'),
        ("print(1", r'"result":null,"error":.*the command that asks a model ended with 1: .*SyntaxError'),
        ("print('yes')", r'"result":null,"error":.*the command that asks a model printed no JSON'),
        (None, r'"result":null,"error":\{"code":-1,"message":"this client has no model to ask"\}'),
    ],
)
def test_a_model_is_asked_by_the_command_of_the_configuration(tmp_path: Path, model: str | None, said: str) -> None:
    server, config = tmp_path / "server.py", tmp_path / "config.toml"
    server.write_text(ASKING)
    sampling = "" if model is None else f"sampling = {json.dumps([sys.executable, '-c', model])}\n"
    command = json.dumps([sys.executable, str(server)])
    config.write_text(f'[targets.a]\ndialect = "mcp"\ncommand = {command}\n{sampling}')
    code, out, err = run("--config", config, "a", "-c", "tools/call {}")
    assert (code, err) == (0, "")
    assert re.search(said if model != MODEL else re.escape(said), out)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ('address = "1"\nsampling = ["x"]', "has sampling, which is for a server of MCP"),
        ('address = "1"\ndialect = "mcp"\nsampling = []', "has a command for sampling without a program"),
    ],
)
def test_a_model_is_for_servers_of_mcp(tmp_path: Path, target: str, problem: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[targets.a]\n{target}\n")
    assert problem in run("--config", config, "2", "-c", ":help")[2]
