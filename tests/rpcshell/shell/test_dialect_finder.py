"""A session with a target whose dialect nobody has named: found out, told once and remembered."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rpcshell import ConnectionFailed, ProtocolError
from rpcshell.client import any_client, transport
from rpcshell.client.dialects import qmp
from rpcshell.client.target import HttpTarget, Target
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell import dialect_finder
from rpcshell.shell.session import Session
from rpcshell.shell.supervisor import Supervisor
from rpcshell.shell.why.evidence import gather
from rpcshell.shell.why.explanation import render_explanation
from tests.rpcshell.describing import Told, offering
from tests.rpcshell.peers import DEADLINE, Peer, free_port, serving
from tests.rpcshell.qemu import monitor, needs_qemu

METHODS = {"openrpc": "1.3.2", "info": {"title": "lines", "version": "2"}, "methods": [{"name": "add", "params": []}]}


def lines(peer: Peer) -> None:
    """JSON-RPC in lines; what is none it does not answer."""
    for line in peer.sock.makefile("rb"):
        try:
            request = json.loads(line)
        except ValueError:
            continue
        result = METHODS if request["method"] == "rpc.discover" else request.get("params")
        reply = {"jsonrpc": "2.0", "id": request["id"], "result": result}
        peer.sock.sendall(json.dumps(reply).encode() + b"\n")


def silent(peer: Peer) -> None:
    peer.wait_for_end()


@pytest.mark.usefixtures("unhurried")
def test_it_is_found_out_told_once_and_remembered(
    session: Session, told: Told, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once it is known what is spoken, saying what there is takes as long as it takes.
    monkeypatch.setattr("rpcshell.client.dialects.jsonrpc.PROBE_TIMEOUT", DEADLINE)
    with serving(lines) as server:
        session.connect(server.target)
        told.wait_until(lambda: session.catalog.methods and told.notes)
        assert told.notes == [f"{server.target}: jsonrpc, lines 2, 1 method"]
        assert str(session.target) == f"jsonrpc:{server.target}"
        assert session.name == str(server.target)
        assert session.call("add", [1]).result == [1]
        assert memory.spoken(str(server.target)) == f"jsonrpc:{server.target}"
        before = server.accepted

        session.connect(server.target)
        told.wait_until(lambda: session.catalog.methods)
        assert session.call("add", [2]).result == [2]
        assert len(told.notes) == 1
        assert server.accepted == before + 1


@pytest.mark.usefixtures("unhurried")
def test_one_that_serves_a_single_client_and_ends_is_told_as_that(session: Session, told: Told) -> None:
    def serve_one(peer: Peer) -> None:
        peer.sock.recv(1)
        listener.shutdown(socket.SHUT_RDWR)

    with serving(serve_one) as server:
        listener = server._listener
        session.connect(server.target)
        told.wait_until(lambda: told.notes)
    assert re.search(r"took one connection, and now: .* a single client .* as in lsp:127", told.notes[0])


@pytest.mark.usefixtures("unhurried", "impatient")
def test_a_call_that_comes_first_is_made_in_what_is_spoken(script: Session, memory: TargetMemory) -> None:
    told = Told(script)
    with serving(lines) as server:
        script.connect(server.target)
        assert script.call("add", [1]).result == [1]
        assert str(script.target) == f"jsonrpc:{server.target}"
        assert script.method("add") is not None
        assert told.notes == []


@pytest.mark.usefixtures("unhurried")
def test_our_own_protocol_takes_no_connection_more(script: Session, memory: TargetMemory) -> None:
    with serving(offering("ping")) as server:
        script.connect(server.target)
        assert script.call("ping", 1).result == 1
        assert server.accepted == 1
        assert memory.spoken(str(server.target)) == f"native:{server.target}"
        assert script.method("ping") is not None
        assert server.accepted == 1


def test_a_monitor_that_is_held_is_said_within_three_seconds_however_it_is_met() -> None:
    greeting = qmp.GREETING_TIMEOUT + dialect_finder._LIMIT_AFTER_GREETING
    assert max(greeting, transport._QUEUING, any_client.DETECTION_CONNECT_TIMEOUT) <= 3


@pytest.mark.usefixtures("brief")
def test_what_listens_and_says_nothing_is_told_and_not_waited_for(script: Session) -> None:
    with serving(silent) as server:
        script.connect(server.target)
        with pytest.raises(ProtocolError, match="says nothing to any guess"):
            script.call("ping", {"a": 1})


@pytest.mark.usefixtures("brief")
def test_what_is_nothing_to_talk_to_is_looked_at_and_told_once(script: Session) -> None:
    told = Told(script)
    with serving(silent) as server:
        script.connect(server.target)
        assert script.method("ping") is None
        looked = server.accepted
        with pytest.raises(ProtocolError, match="says nothing to any guess"):
            script.call("ping", {"a": 1})
        assert server.accepted == looked
    assert told.notes == []


@pytest.mark.usefixtures("impatient")
def test_why_shows_what_was_tried(script: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.detecting.PATIENCE", 1.0)
    monkeypatch.setattr("rpcshell.client.detecting.LIMIT", 3.2)

    def hangs_up_on_lines(peer: Peer) -> None:
        while (data := peer.sock.recv(4096)) and not data.endswith(b"\n"):
            pass

    with serving(hangs_up_on_lines) as server:
        script.connect(server.target)
        call = script.attempt("ping", {"a": 1})
    text = "".join(part for _, part in render_explanation(gather(call, script, Supervisor(script)), 100))
    assert "tried    nothing, to hear who speaks first: nothing came\n" in text
    assert " a ping of rpcshell's own protocol: nothing came\n" in text
    assert " a line of JSON-RPC: it ended the connection\n" in text


BUSY = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.readline()
client, _ = listener.accept()
client.recv(4096)
reply = b'{"out":"pong","result":1}'
client.sendall(len(reply).to_bytes(4, "little") + reply)
sys.stdin.readline()
"""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ["rpcserver", "other"])
def test_one_that_may_be_busy_is_waited_for_once_that_is_told(
    name: str, script: Session, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the program that listens there, or a limit that the user has set."""
    monkeypatch.setattr("rpcshell.client.detecting.LIMIT", 0.2)
    script.settings.timeout = None if name == "rpcserver" else DEADLINE
    notes: list[str] = []
    (tmp_path / name).write_text(BUSY)
    argv = [sys.executable, "-S", str(tmp_path / name)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = server.stdout.readline().strip()

        def free(note: str) -> None:
            notes.append(note)
            assert server.stdin is not None
            server.stdin.write("\n")
            server.stdin.flush()

        script.on_note(free)
        script.connect(f"127.0.0.1:{port}")
        assert script.call("ping", 1).result == 1
        assert memory.spoken(f"127.0.0.1:{port}") == f"native:127.0.0.1:{port}"
        server.stdin.close()
    waits = "its workers may be busy, so the call waits, for \\d+ s at most"
    assert re.search(rf"; \S+ \(pid {server.pid}\) listens there: {waits}", notes[0])
    assert notes[0].count("rpcserver") == (name == "rpcserver")
    assert len(notes) == 1


@pytest.mark.usefixtures("brief")
def test_at_the_prompt_it_is_a_note_and_the_session_lives(session: Session, told: Told) -> None:
    with serving(silent) as server:
        session.connect(server.target)
        told.wait_until(lambda: told.notes)
        assert "says nothing to any guess" in told.notes[0]
        assert f"DIALECT:{server.target} names what it speaks" in told.notes[0]


@pytest.mark.usefixtures("unhurried", "impatient")
def test_one_that_answers_a_guess_may_take_its_time(script: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each guess more would be a connection more.
    monkeypatch.setattr("rpcshell.client.detecting.PATIENCE", 1.2)
    answered = threading.Event()

    def slow(peer: Peer) -> None:
        if (request := peer.read()) is None:
            return
        if peer.number:
            answered.set()
        else:
            assert answered.wait(DEADLINE)
        peer.send({"out": "pong", "result": request["params"]})
        peer.wait_for_end()

    with serving(slow) as server:
        script.connect(server.target)
        assert script.call("ping", 1).result == 1
        # One for the call, one to hear who speaks first, and one for a ping.
        assert server.accepted == 3


@pytest.mark.usefixtures("unhurried", "impatient")
def test_a_call_in_vain_is_made_again_in_what_is_spoken(script: Session) -> None:
    def deaf_but_to_content_length(peer: Peer) -> None:
        data = b""
        while more := peer.sock.recv(4096):
            data += more
            if data.startswith(b"Content-Length: ") and data.endswith(b"}"):
                request = json.loads(data.partition(b"\r\n\r\n")[2])
                body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": request["method"]}).encode()
                peer.sock.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
                data = b""

    with serving(deaf_but_to_content_length) as server:
        script.connect(server.target)
        assert script.call("add", [1]).result == "add"
        assert str(script.target) == f"jsonrpc+content-length:{server.target}"


@pytest.mark.usefixtures("unhurried")
def test_a_url_is_looked_at_before_it_is_connected_to(script: Session) -> None:
    def pages(peer: Peer) -> None:
        peer.sock.recv(4096)
        peer.sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with serving(pages) as server, pytest.raises(ProtocolError, match="neither MCP nor JSON-RPC"):
        script.connect(HttpTarget(f"http://{server.target}/"))
    with pytest.raises(ConnectionFailed, match="refused"):
        script.connect(HttpTarget(f"http://127.0.0.1:{free_port()}/"))


@needs_qemu
@pytest.mark.usefixtures("unhurried")
def test_a_monitor_is_found_out_and_its_commands_are_counted(session: Session, told: Told) -> None:
    with monitor() as target:
        address = target.removeprefix("qmp:")
        session.connect(Target.parse(address))
        told.wait_until(lambda: told.notes)
        assert told.notes[0].startswith(f"{address}: qmp, QEMU ")
        assert told.notes[0].endswith(" commands")
        assert session.unasked is not None
        assert session.call("query-status").result["status"] == "prelaunch"
