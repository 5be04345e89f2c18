"""The dialect that the guide `own-dialect.md` shows, installed as a stranger would, against what watchman 4.9 said."""

from __future__ import annotations

import asyncio
import json
import re
import runpy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import rpcshell
from rpcshell import CallError, ConnectionFailed, ProtocolError
from rpcshell.client.dialects import Event
from rpcshell.line.catalog import Catalog
from rpcshell.shell.discovery import describe
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import Peer, serving

GUIDE = (Path(__file__).parents[3] / "rpcshell/guides/own-dialect.md").read_text()
SUBSCRIBE = ["/src", "s1", {"fields": ["name"]}]
FILES = {"unilateral": True, "subscription": "s1", "files": ["a.py", "a.ts"], "root": "/src"}
SAID: dict[str, list[dict[str, Any]]] = {
    '["version"]': [{"version": "4.9.0"}],
    '["list-capabilities"]': [
        {"capabilities": ["scm-hg", "cmd-get-pid", "field-type", "cmd-watch"], "version": "4.9.0"}
    ],
    '["nope"]': [{"error": "unknown command nope", "version": "4.9.0"}],
    json.dumps(["subscribe", *SUBSCRIBE], separators=(",", ":")): [{"subscribe": "s1", "version": "4.9.0"}, FILES],
    '["get-pid"]': [{"pid": 7, "version": "4.9.0"}],
}


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, *_ = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    (table,) = re.findall(r"^```toml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    header, entry = table.splitlines()
    group = header.split('"')[1]
    module = entry.partition('"')[2].partition(":")[0]
    (tmp_path / f"{module}.py").write_text(code)
    info = tmp_path / "watchman-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: watchman\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(tmp_path)


def watchman(peer: Peer, said: dict[str, list[dict[str, Any]]] = SAID) -> None:
    for line in peer.sock.makefile("rb"):
        for message in said[line.decode().strip()]:
            peer.sock.sendall(json.dumps(message).encode() + b"\n")


def test_it_calls_lists_and_hears(connect: Connect) -> None:
    with serving(watchman) as server, connect(f"watchman:{server.target}") as client:
        assert client.call("get-pid")["pid"] == 7
        with pytest.raises(CallError, match="unknown command nope"):
            client.call("nope")
        for params in (SUBSCRIBE, tuple(SUBSCRIBE)):
            assert client.call("subscribe", params)["subscribe"] == "s1"


def test_it_describes_and_tells_events() -> None:
    with serving(watchman) as server, rpcshell.connect(f"watchman:{server.target}") as client:
        found = client.describe().document
        assert [method["name"] for method in found["methods"]] == ["get-pid", "watch"]
        client.call("subscribe", SUBSCRIBE)
        assert next(client.events()) == Event("s1", FILES)


def test_a_server_that_refuses_to_say_what_it_offers_is_no_fault_of_ours() -> None:
    refused = {**SAID, '["list-capabilities"]': [{"error": "no"}]}
    says = "another form than it should"

    async def ask(target: str) -> None:
        async with rpcshell.connect_async(target) as client:
            with pytest.raises(ProtocolError, match=says):
                await client.describe()

    with serving(partial(watchman, said=refused)) as server:
        asyncio.run(ask(f"watchman:{server.target}"))
        with rpcshell.connect(f"watchman:{server.target}") as client:
            with pytest.raises(ProtocolError, match=says):
                client.describe()
            assert client.call("get-pid")["pid"] == 7


def test_a_server_that_does_not_say_in_time_what_it_offers_is_plain() -> None:
    silent = {**SAID, '["list-capabilities"]': []}
    with serving(partial(watchman, said=silent)) as server:
        with rpcshell.connect(f"watchman:{server.target}", timeout=0.1) as client:
            found = describe(client, None)
        assert found.plain
        assert "it did not say within 0.1 s what it offers" in str(found.note)


def test_it_is_tested_without_a_server(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(dialect = .*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / "tested.py").write_text(f"from rpcshell_watchman import *\n{code}")
    runpy.run_path(str(tmp_path / "tested.py"))


def test_a_document_is_read_as_the_guide_says() -> None:
    (document,) = re.findall(r"^```json\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    catalog = Catalog.from_openrpc(json.loads(document))
    assert list(catalog.events) == ["property-change"]
    assert (catalog.title, catalog.version, catalog.method_noun) == ("mpv", "0.35.1", "command")
    method = catalog.methods["observe_property"]
    assert method.by_position
    assert [param.completes for param in method.params] == [False, True]


@pytest.mark.parametrize(
    ("said", "error"), [(b'{"version":0}\n[1]\n', ProtocolError), (b"{}\n", ConnectionFailed), (b"", ConnectionFailed)]
)
def test_who_is_no_watchman_is_said(connect: Connect, said: bytes, error: type[Exception]) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.sock.sendall(said)

    with serving(serve) as server, pytest.raises(error), connect(f"watchman:{server.target}") as client:
        client.call("get-pid")
