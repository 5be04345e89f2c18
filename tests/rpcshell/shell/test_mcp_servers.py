"""Files of other clients of MCP."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest

from rpcshell import UsageError
from rpcshell.client.description import description_from
from rpcshell.client.target import ChildTarget, HttpTarget
from rpcshell.shell.mcp_servers import mcp_server
from rpcshell.shell.target_config import filled


def written(folder: Path, **servers: Any) -> Path:
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    return file


def test_a_server_with_a_command(tmp_path: Path) -> None:
    server = {
        "type": "stdio",
        "command": "${BIN:-npx}",
        "args": ["-y", "${env:PACKAGE}"],
        "env": {"TOKEN": "${TOKEN}", "LEVEL": "${LEVEL:-info}"},
        "disabled": False,
    }
    file = written(tmp_path, everything=server)
    environment = {"PACKAGE": "pkg", "TOKEN": "hush"}
    target = filled(mcp_server(file, "everything", environment).target_among({}), environment)
    assert target == ChildTarget(("npx", "-y", "pkg"), dialect="mcp", env=(("TOKEN", "hush"), ("LEVEL", "info")))
    assert "hush" not in f"{target} {target!r} {mcp_server(file, 'everything', environment)!r}"


@pytest.mark.parametrize("key", ["url", "httpUrl", "serverUrl"])
def test_a_server_with_a_url(tmp_path: Path, key: str) -> None:
    server = {key: "https://${HOST}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}}
    environment = {"HOST": "example.org", "TOKEN": "hush"}
    target = filled(mcp_server(written(tmp_path, a=server), "a", environment).target_among({}), environment)
    headers = (("Authorization", "Bearer hush"),)
    assert target == HttpTarget("https://example.org/mcp", dialect="mcp", headers=headers)
    assert "hush" not in f"{target} {target!r}"


def test_files_of_others_may_begin_with_a_mark_of_their_encoding(tmp_path: Path) -> None:
    file = written(tmp_path, a={"command": "x"})
    file.write_bytes(BOM_UTF8 + file.read_bytes())
    assert mcp_server(file, "a", {}).target_among({}) == ChildTarget(("x",), dialect="mcp")
    file.write_bytes(BOM_UTF8 + b'{"methods": []}')
    assert description_from(file).document == {"methods": []}


def test_the_table_may_be_called_servers(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"inputs": [], "servers": {"a": {"command": "x"}}}')
    assert mcp_server(file, "a", {}).target_among({}) == ChildTarget(("x",), dialect="mcp")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "has no servers"),
        ('{"mcpServers": []}', "has no servers"),
        ('{"mcpServers": {}}', "has no server 'api' (it has none)"),
        ('{"mcpServers": {"apis": {}}}', "has no server 'api' (did you mean apis?)"),
        ('{"mcpServers": {"api": {}}}', "api: has no address and no command"),
        ('{"mcpServers": {"api": 1}}', "api: expected `object`, got `int`"),
        ('{"mcpServers": {"api": {"command": "x", "args": "y"}}}', "api: expected `array`, got `str`"),
        ('{"mcpServers": {"api": {"command": "${NO}"}}}', "api: the environment variable NO is not set"),
        ('{"mcpServers": {"api": {"url": "example.org"}}}', "has no port"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        mcp_server(file, "api", {})
    assert str(caught.value).startswith(str(file))
    assert says in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        mcp_server(tmp_path / "none.json", "api")
