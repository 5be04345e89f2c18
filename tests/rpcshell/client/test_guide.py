"""The dialect that `docs/dialects.md` shows, installed as a stranger would, against what watchman 4.9 has said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import rpcshell
from rpcshell import CallError, ConnectionFailed, ProtocolError
from rpcshell.client.dialects import Event
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import Peer, serving

GUIDE = (Path(__file__).parents[3] / "docs/dialects.md").read_text()
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
    (code,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
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


def watchman(peer: Peer) -> None:
    for line in peer.sock.makefile("rb"):
        for message in SAID[line.decode().strip()]:
            peer.sock.sendall(json.dumps(message).encode() + b"\n")


def test_it_calls_lists_and_hears(connect: Connect) -> None:
    with serving(watchman) as server, connect(f"watchman:{server.target}") as client:
        assert client.call("get-pid")["pid"] == 7
        with pytest.raises(CallError, match="unknown command nope"):
            client.call("nope")
        assert client.call("subscribe", SUBSCRIBE)["subscribe"] == "s1"


def test_it_describes_and_tells_events() -> None:
    with serving(watchman) as server, rpcshell.connect(f"watchman:{server.target}") as client:
        found = client.describe().document
        assert [method["name"] for method in found["methods"]] == ["get-pid", "watch"]
        client.call("subscribe", SUBSCRIBE)
        assert next(client.events()) == Event("s1", FILES)


@pytest.mark.parametrize(
    ("said", "error"), [(b'{"version":0}\n[1]\n', ProtocolError), (b"{}\n", ConnectionFailed), (b"", ConnectionFailed)]
)
def test_who_is_no_watchman_is_said(connect: Connect, said: bytes, error: type[Exception]) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.sock.sendall(said)

    with serving(serve) as server, pytest.raises(error), connect(f"watchman:{server.target}") as client:
        client.call("get-pid")
