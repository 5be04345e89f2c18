"""How long a listen queue is, as the kernel says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpcserver.system.addresses import Bind, TcpBind, UnixBind
from rpcserver.system.listen_queue import ListenQueue, clients_waiting, listen_queue
from rpcserver.system.sockets import open_listeners
from tests.servers import connected


@pytest.mark.parametrize("kind", ["127.0.0.1", "::1", "unix"])
def test_waiting_connections_are_counted(tmp_path: Path, kind: str) -> None:
    bind: Bind = UnixBind(str(tmp_path / "x.sock")) if kind == "unix" else TcpBind(kind, 0)
    (listener,) = open_listeners([bind], backlog=7, unix_mode=0o600)
    if kind == "unix" and listen_queue(listener.socket) is None:
        listener.close()
        pytest.skip("this kernel does not tell the queues of Unix sockets")
    assert listen_queue(listener.socket) == ListenQueue(0, 7)
    clients = [connected(listener.address) for _ in range(3)]
    assert listen_queue(listener.socket) == ListenQueue(3, 7)
    connection, _ = listener.socket.accept()
    assert listen_queue(listener.socket) == ListenQueue(2, 7)
    for client in (*clients, connection):
        client.close()
    listener.close()


def test_a_kernel_that_tells_no_queue_tells_that_somebody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A family of netlink(7) that no kernel has.
    monkeypatch.setattr("rpcserver.system.listen_queue._NETLINK_SOCK_DIAG", 31)
    (listener,) = open_listeners([UnixBind(str(tmp_path / "x.sock"))], backlog=7, unix_mode=0o600)
    assert listen_queue(listener.socket) is None
    assert clients_waiting(listener.socket) == 0
    with connected(listener.address), connected(listener.address):
        assert clients_waiting(listener.socket) == 1
    listener.close()
    assert clients_waiting(listener.socket) == 0


def test_a_closed_listener_has_no_queue() -> None:
    (listener,) = open_listeners([TcpBind("127.0.0.1", 0)], backlog=7, unix_mode=0o600)
    listener.close()
    assert listen_queue(listener.socket) is None
