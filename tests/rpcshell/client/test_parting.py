"""Leaving a server that has not understood what was said to it, or that greets: it may finish first."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from rpcshell import ProtocolError, connect_async, detect
from rpcshell import connect as connect_blocking
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, Peer, serving


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("dialect", ["", "jsonrpc:"], ids=["native", "listening"])
def test_what_a_server_says_to_the_end_is_taken(
    dialect: str,
    tls: bool,
    connect: Connect,
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("dialling", "async_connection"):
        monkeypatch.setattr(f"rpcshell.client.{module}.PARTING", DEADLINE)
    finished: list[int] = []

    def refuse(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.sock.sendall(b"}}}}no such thing\n")
        # The end comes without a word of TLS, after which OpenSSL would write no more if it had seen it.
        while socket.socket.recv(peer.sock, 1000):
            pass
        # A socket of TCP learns only by the first that there is nobody any more.
        for _ in range(2):
            peer.sock.sendall(b"nor this\n")
        finished.append(peer.number)

    context = certificates.server() if tls else None
    with serving(refuse, unix=None if tls else tmp_path / "s", tls=context) as server:
        for _ in range(2):
            with (
                pytest.raises(ProtocolError),
                connect(f"{dialect}{server.target}", tls=certificates.trusting if tls else None) as client,
            ):
                client.call("ping", 1, timeout=DEADLINE)
        assert finished == [0, 1]


LIMITS = {
    "async_connection": ("PARTING", "QUIET"),
    "detecting": ("PATIENCE", "LIMIT"),
    "dialling": ("PARTING", "QUIET"),
}


def looked_at(target: str, greeted: Event) -> None:
    detect(target)


def called(target: str, greeted: Event) -> None:
    """On a connection that has a greeting already, which is left for another one."""
    with connect_blocking(target) as client:
        assert greeted.wait(DEADLINE)
        with pytest.raises(ProtocolError):
            client.call("ping")


def called_on_a_loop(target: str, greeted: Event) -> None:
    async def call() -> None:
        async with connect_async(target) as client:
            assert await asyncio.to_thread(greeted.wait, DEADLINE)
            with pytest.raises(ProtocolError):
                await client.call("ping")

    asyncio.run(call())


@pytest.mark.parametrize("use", [looked_at, called, called_on_a_loop])
def test_a_server_that_greets_is_not_left_inside_its_greeting(
    use: Callable[[str, Event], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, limits in LIMITS.items():
        for limit in limits:
            monkeypatch.setattr(f"rpcshell.client.{module}.{limit}", DEADLINE)
    greeted = Event()
    left: list[bool] = []

    def greet(peer: Peer) -> None:
        event = b'{"seq":1,"type":"event","event":"output","body":{}}'
        said = b"Content-Length: %d\r\n\r\n%b" % (len(event), event)
        peer.sock.sendall(said)
        greeted.set()
        # Who leaves does so before there is more.
        peer.sock.settimeout(0.1)
        with suppress(TimeoutError):
            while peer.sock.recv(1000):
                pass
            left.append(True)
        with suppress(OSError):
            peer.sock.sendall(said)

    with serving(greet) as server:
        use(str(server.target), greeted)
    assert left == []
