"""The probe: what a target offers, and what it means when it does not say."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from rpcshell import ProtocolError, connect
from rpcshell.client.target import ChildTarget
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.session import Session
from tests.rpcshell.describing import Told, offering
from tests.rpcshell.mcp_peer import McpPeer
from tests.rpcshell.peers import DEADLINE, Peer, echo, serving

if TYPE_CHECKING:
    from collections.abc import Callable


def dies_of(*unknown: str) -> Callable[[Peer], None]:
    """A server whose process would die of a method it does not know; it has no other keys either."""

    def serve(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] in unknown:
                return
            assert set(request) == {"in", "params"}
            peer.send({"out": "pong", "result": request["params"]})

    return serve


@pytest.mark.usefixtures("unhurried")
def test_a_server_that_dies_of_the_probe_is_plain_and_remembered_and_said_once(
    session: Session, told: Told, memory: TargetMemory
) -> None:
    with serving(dies_of("rpc.discover")) as server:
        session.connect(server.target)
        told.wait_until(lambda: told.notes)
        assert session.plain
        assert session.call("ping", {"a": 1}).result == {"a": 1}
        # For the probe, to hear whether it greets, for a ping to find out what it speaks, and for the call.
        assert server.accepted == 4
        assert memory.remembers(str(server.target))
        assert len(told.notes) == 1
        assert "plain server" in told.notes[0]

        session.connect(server.target)
        assert session.call("ping", 1).result == 1
        assert session.plain
        assert len(told.notes) == 1
        assert server.accepted == 5


def test_a_child_that_ends_is_not_remembered_and_its_telling_line_is_shown(
    session: Session, told: Told, memory: TargetMemory
) -> None:
    said = "read -r asked; echo \"Error: Cannot find module './a.mjs'\" >&2; echo 'Node.js v20' >&2; exit 1"
    session.connect(ChildTarget(("sh", "-c", said), dialect="jsonrpc"))
    told.wait_until(lambda: told.notes)
    assert "its process ended when asked what it offers" in told.notes[0]
    assert told.notes[0].endswith("it said: Error: Cannot find module './a.mjs'")
    assert not memory.remembers(str(session.target))


def test_a_remembered_target_is_asked_again_when_told_to(session: Session, told: Told, memory: TargetMemory) -> None:
    with serving(offering("ping")) as server:
        memory.remember(str(server.target), seconds=60)
        session.connect(server.target)
        session.call("ping")
        assert session.plain
        session.connect(server.target, probe_again=True)
        told.wait_until(lambda: session.catalog.methods)
        assert not session.plain
        assert not memory.remembers(str(server.target))


def test_a_plain_session_sends_no_probe() -> None:
    session = Session(plain=True)
    with serving(dies_of("rpc.discover")) as server:
        session.connect(server.target)
        assert session.method("ping") is None
        session.refresh()
        assert session.call("ping", 1).result == 1
        assert server.accepted == 1
        session.close()


def test_a_server_that_never_answers_the_probe_is_plain(
    session: Session, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.native.PROBE_TIMEOUT", 0.1)

    def deaf_to_the_probe(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] != "rpc.discover":
                peer.send({"out": "pong", "result": request["params"]})

    with serving(deaf_to_the_probe) as server:
        session.connect(server.target)
        assert session.call("ping", 1).result == 1
        told.wait_until(lambda: told.notes)
        assert session.plain
        assert "0.1 s" in told.notes[0]


@pytest.mark.parametrize(
    "reply",
    [
        {"out": "error", "result": {"code": -32601, "message": "unknown"}},
        {"out": "error", "result": "unknown method"},
        {"out": "pong", "result": None},
        {"out": "pong", "result": [1, 2]},
    ],
)
def test_an_answer_that_is_no_document_makes_the_target_plain_but_is_not_remembered(
    session: Session, told: Told, memory: TargetMemory, reply: object
) -> None:
    def serve(peer: Peer) -> None:
        peer.read()
        peer.send(reply)
        echo(peer)

    with serving(serve) as server:
        session.connect(server.target)
        told.wait_until(lambda: told.notes)
        assert session.plain
        assert not memory.remembers(str(server.target))
        assert session.call("ping", 1).result == 1
        assert server.accepted == 1


def test_a_busy_server_is_not_taken_for_a_plain_one(session: Session, told: Told) -> None:
    def serve(peer: Peer) -> None:
        peer.read()
        peer.send({"out": "error", "result": {"code": -32001, "message": "busy"}})
        echo(peer)

    with serving(serve) as server:
        session.connect(server.target)
        told.wait_until(lambda: told.notes)
        assert "busy" in told.notes[0]
        assert not session.plain


def test_a_foreign_server_is_named_once_asked(session: Session, told: Told) -> None:
    def serve(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.wait_for_end()

    with serving(serve) as server:
        session.connect(server.target)
        told.wait_until(lambda: told.notes)
        assert "an HTTP server" in told.notes[0]
        with pytest.raises(ProtocolError):
            session.call("ping")


@pytest.mark.usefixtures("forked")
def test_a_server_of_ones_own_whose_workers_are_held_is_not_taken_for_a_plain_one(
    session: Session, told: Told, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.native.PROBE_TIMEOUT", 0.2)
    server = SpawnedServer.start(SpawnOptions(1))
    try:
        with connect(server.addresses[0]) as holder:
            holder.call("ping")
            session.connect(server.addresses[0])
            told.wait_until(lambda: told.notes)
        assert "too busy" in told.notes[0]
        assert not session.plain
        assert not memory.remembers(server.addresses[0])
        session.refresh()
        told.wait_until(lambda: "ping" in session.catalog.methods)
    finally:
        server.stop()


def mute(peer: Peer) -> None:
    """A server of MCP that takes a session and says no more."""
    lines = peer.sock.makefile("rb")
    asked = json.loads(lines.readline())
    result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
    peer.sock.sendall(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode() + b"\n")
    for line in lines:
        if (message := json.loads(line)).get("method") == "tools/call":
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}
            peer.sock.sendall(json.dumps(reply).encode() + b"\n")


def test_what_a_server_has_told_is_kept_where_it_fails_to_tell_it_again(
    session: Session, told: Told, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = threading.Event()

    def once(peer: Peer) -> None:
        def end() -> None:
            leave.wait(DEADLINE)
            peer.sock.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=end).start()
        McpPeer()(peer)

    with serving(once, mute) as server:
        session.connect(f"mcp:{server.target}")
        told.wait_until(lambda: "tool1" in session.catalog.methods)
        # Who asks what there is has let go of the connection then.
        session.call("tool1")
        monkeypatch.setattr("rpcshell.client.dialects.mcp.dialect.DESCRIPTION_TIMEOUT", 0.1)
        leave.set()
        told.wait_until(lambda: session.state == "lost")
        session.call("tool1")
        told.wait_until(lambda: told.notes and "has not said again what it offers" in told.notes[-1])
        assert "tool1" in session.catalog.methods
        assert not session.plain
        assert not memory.remembers(f"mcp:{server.target}")
