"""Servers of rpcshell's own protocol that take their time, by processes that serve one client after the other: what it
costs them that nobody has said what they speak.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpcshell.client.detection import Detection
from rpcshell.client.target import Target, TcpTarget, UnixTarget
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.session import Session
from tests.rpcshell.describing import Told, document
from tests.rpcshell.peers import DEADLINE, Peer, serving

PONG = {"out": "pong", "result": 1}

pytestmark = pytest.mark.usefixtures("impatient")


@contextlib.contextmanager
def one_process(handler: Callable[[Peer, socket.socket], None], unix: Path | None = None) -> Iterator[Target]:
    """A server that accepts a connection once it is done with the one before, and dies of an error; it has to live."""
    died: list[BaseException] = []

    def serve(listener: socket.socket) -> None:
        number = 0
        try:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                with accepted:
                    handler(Peer(accepted, number), listener)
                number += 1
        except BaseException as error:  # noqa: BLE001 - the test has it
            died.append(error)

    with socket.create_server(("127.0.0.1", 0)) if unix is None else socket.socket(socket.AF_UNIX) as listener:
        if unix is not None:
            listener.bind(str(unix))
            listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield TcpTarget(*listener.getsockname()) if unix is None else UnixTarget(str(unix))
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE)
    assert died == []


def test_a_late_answer_of_the_only_process_is_waited_for_and_nothing_else_is_said_to_it(
    script: Session, memory: TargetMemory
) -> None:
    asked: list[str] = []

    def slow(peer: Peer, listener: socket.socket) -> None:
        while (request := peer.read()) is not None:
            asked.append(request["in"])
            if request["in"] == "rpc.discover":
                # Until the shell has let go of this connection, and waits with another one for its turn.
                assert peer.sock.recv(1) == b""
                listener.settimeout(DEADLINE)
                waiting.append(listener.accept()[0])
                listener.settimeout(None)
                peer.send({"out": "discovered", "result": document("ping")})
                assert peer.sock.recv(1) == b""
            else:
                peer.send({"out": "pong", "result": request["params"]})

    waiting: list[socket.socket] = []
    with one_process(slow) as target:
        script.connect(target)
        assert script.method("ping") is not None
        assert script.call("ping", {"a": 1}).result == {"a": 1}
        assert memory.spoken(str(target)) == f"native:{target}"
        assert waiting[0].recv(4096) == b""
        waiting[0].close()
        script.close()
    assert asked == ["rpc.discover", "ping"]


@pytest.mark.usefixtures("unhurried")
def test_a_process_that_is_busy_with_a_ping_is_guessed_at_no_further(script: Session, memory: TargetMemory) -> None:
    told = Told(script)
    heard: list[str] = []
    pinged = threading.Event()

    def dies_late(peer: Peer) -> None:
        if (request := peer.read()) is not None:
            heard.append(request["in"])
        assert pinged.wait(DEADLINE)

    def slow(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            heard.append(request["in"])
            if not pinged.is_set():
                # It is let go before it has answered.
                assert peer.sock.recv(1) == b""
            peer.send({"out": "pong", "result": request["params"]})
            pinged.set()

    with serving(dies_late, slow) as server:
        script.connect(server.target)
        assert script.method("ping") is None
        assert script.call("ping", {"a": 1}).result == {"a": 1}
        # The question, nothing to hear who speaks first, a ping, and the call.
        assert server.accepted == 4
        assert memory.remembers(str(server.target))
        script.close()
    assert heard == ["rpc.discover", "ping", "ping"]
    assert "plain server" in told.notes[0]


def test_a_slow_call_is_answered_while_the_server_is_looked_at(script: Session, memory: TargetMemory) -> None:
    def slow(peer: Peer, listener: socket.socket) -> None:
        while (request := peer.read()) is not None:
            if not waiting:
                listener.settimeout(DEADLINE)
                waiting.append(listener.accept()[0])
                listener.settimeout(None)
            peer.send({"out": "pong", "result": request["params"]})

    waiting: list[socket.socket] = []
    with one_process(slow) as target:
        memory.remember(str(target), seconds=60)
        script.connect(target)
        assert script.call("ping", 1).result == 1
        assert script.call("ping", 2).result == 2
        assert waiting[0].recv(4096) == b""
        waiting[0].close()
        script.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has taken what was said")
@pytest.mark.parametrize("name", [None, "s"], ids=["tcp", "unix"])
def test_who_is_busy_with_the_question_has_longer_than_who_says_nothing(
    name: str | None, script: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rpcshell.client.detecting.LIMIT", 0.01)
    prolonged = threading.Event()
    is_waited_for = Detection._is_waited_for

    def notice(detection: Detection, now: float) -> bool:
        waits = is_waited_for(detection, now)
        if waits:
            prolonged.set()
        return waits

    monkeypatch.setattr(Detection, "_is_waited_for", notice)

    def slow(peer: Peer, _listener: socket.socket) -> None:
        while (request := peer.read()) is not None:
            assert prolonged.wait(DEADLINE)
            peer.send({"out": "discovered", "result": document("ping")} if request["in"] == "rpc.discover" else PONG)

    with one_process(slow, None if name is None else tmp_path / name) as target:
        script.connect(target)
        assert script.method("ping") is not None
        assert script.call("ping").result == 1
        script.close()
