"""What tests of the program share: a server that echoes, and folders of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rpcshell.peers import Peer, PeerServer, serving


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def server() -> Iterator[PeerServer]:
    with serving(answering) as server:
        yield server


def answering(peer: Peer) -> None:
    """Echoes; `fail` is answered with an error and `rpc.discover` is not known."""
    while (request := peer.read()) is not None:
        if request["in"] in {"fail", "rpc.discover"}:
            peer.send({"out": "error", "result": {"code": -32601, "message": "no such method"}})
        else:
            peer.send({"out": "pong", "result": request["params"]})
