"""A session with a target of which is remembered what it speaks, which may be no longer true."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell import ConnectionFailed, ShellError, connect
from rpcshell.client.target import UnixTarget
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.dialect_finder import DialectFinder
from rpcshell.shell.session import Session
from tests.rpcshell.peers import DEADLINE, Handler, Peer, echo, free_port, serving
from tests.rpcshell.shell.test_dialect_finder import lines, silent


def http(peer: Peer) -> None:
    peer.sock.recv(65536)
    peer.sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("handlers", [(echo, lines), (lines, echo)])
@pytest.mark.usefixtures("unhurried", "impatient")
def test_what_is_remembered_and_no_longer_true_is_found_out_again(
    handlers: tuple[Handler, Handler], script: Session, memory: TargetMemory
) -> None:
    port = free_port()
    for handler in handlers:
        with serving(handler, port=port) as server:
            script.connect(server.target)
            assert script.call("add", [1]).result == [1]
            spoken = "native" if handler is echo else "jsonrpc"
            assert memory.spoken(str(server.target)) == f"{spoken}:{server.target}"
            script.disconnect()


@pytest.mark.parametrize(
    ("remembered", "says"),
    [
        ("native", "says nothing to any guess"),
        ("jsonrpc", "says nothing to any guess"),
        ("qmp", "it did not greet within"),
    ],
)
@pytest.mark.usefixtures("brief")
def test_what_is_remembered_and_says_nothing_by_now_is_not_waited_for(
    remembered: str, says: str, script: Session, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.qmp.GREETING_TIMEOUT", 0.1)

    def call() -> None:
        script.connect(server.target)
        script.method("add")
        script.call("add", [1])

    with serving(silent) as server:
        memory.learn(str(server.target), f"{remembered}:{server.target}")
        with pytest.raises(ShellError, match=says):
            call()


@pytest.mark.usefixtures("unhurried")
def test_what_is_remembered_and_no_longer_understood_is_told(
    script: Session, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.qmp.GREETING_TIMEOUT", 0.1)
    with serving(http) as server:
        memory.learn(str(server.target), f"qmp:{server.target}")
        with pytest.raises(ShellError, match="is an HTTP server"):
            script.connect(server.target)


@pytest.mark.usefixtures("unhurried")
def test_a_monitor_that_is_remembered_and_gone_is_found_out_again(
    script: Session, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.qmp.GREETING_TIMEOUT", 0.1)
    with serving(lines) as server:
        memory.learn(str(server.target), f"qmp:{server.target}")
        script.connect(server.target)
        assert script.call("add", [1]).result == [1]
        assert memory.spoken(str(server.target)) == f"jsonrpc:{server.target}"


def test_a_monitor_whose_queue_is_full_is_waited_for_once(
    script: Session, memory: TargetMemory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rpcshell.client.transport._QUEUING", 0.1)
    looked: list[object] = []
    monkeypatch.setattr(DialectFinder, "look", lambda *_: looked.append(1))
    with full(tmp_path / "s") as target:
        memory.learn(str(target), f"qmp:{target}")
        with pytest.raises(ConnectionFailed, match="serves one client at a time"):
            script.connect(target)
        assert not looked
        with pytest.raises(ConnectionFailed, match="as a QMP monitor does"):
            connect(target, connect_timeout=0.1)


@contextlib.contextmanager
def full(path: Path) -> Iterator[UnixTarget]:
    """A socket in whose queue there is no room."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(path))
        listener.listen(0)
        waiting.connect(str(path))
        yield UnixTarget(str(path))


@pytest.mark.usefixtures("brief")
def test_one_that_is_known_may_take_its_time(script: Session, memory: TargetMemory) -> None:
    looked = threading.Event()

    def slow(peer: Peer) -> None:
        if peer.number:
            looked.set()
            peer.wait_for_end()
            return
        request = peer.read()
        assert looked.wait(DEADLINE)
        assert request is not None
        peer.send({"out": "pong", "result": request["params"]})

    with serving(slow) as server:
        memory.learn(str(server.target), f"native:{server.target}")
        script.connect(server.target)
        assert script.call("ping", 1).result == 1
