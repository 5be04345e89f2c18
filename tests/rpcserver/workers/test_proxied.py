"""Connections that a proxy makes for others, in every model: whose they are, and who may say so."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.models import EACH_KIND, of_each_kind
from tests.rpcserver.system.test_proxy_protocol import V4, V6, binary, line
from tests.rpcserver.tls_serving import make_certificates, raw
from tests.rpcserver.workers.test_models import MODELS_APP
from tests.servers import Client, Server, request, running

CLIENT = "192.0.2.1:50000"
NO_HEADER = "--proxy-protocol expects a PROXY header from it"


@pytest.fixture(scope="module", params=EACH_KIND)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    options = ("-m", request.param, "-w", "2", "--access-log", "--read-timeout", "1", "--idle-timeout", "0")
    bind = ("127.0.0.1:0", f"unix:{folder}/probe.sock", "[::1]:0")
    with running(*options, "--proxy-protocol", "127.0.0.0/8,unix", app=MODELS_APP, folder=folder, bind=bind) as server:
        yield server


def who(client: Client) -> Any:
    return client.call("whoami").result["peer"]


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (line(*V4), CLIENT),
        (binary(*V4), CLIENT),
        (binary(*V6, extensions=b"\x04\x00\x03abc"), "[2001:db8::1]:50000"),
        (b"PROXY UNKNOWN\r\n", None),
        (binary(*V4, command=0x20), None),
    ],
)
@pytest.mark.parametrize("index", [0, 1], ids=["tcp", "unix"])
def test_a_trusted_proxy_says_for_whom_it_connects(server: Server, header: bytes, peer: str | None, index: int) -> None:
    with server.connect(index) as client:
        # With the first request, as HAProxy sends it.
        client.socket.sendall(header + request("whoami"))
        found = client.reply().result["peer"]
        assert found == peer or (peer is None and found.startswith(("127.0.0.1:", "unix:pid=")))
        assert who(client) == found
    server.wait_for_log(f"{found} whoami ok")


def test_a_header_may_come_byte_by_byte(server: Server) -> None:
    for header in (line(*V4), binary(*V4)):
        with server.connect() as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header + request("whoami"):
                client.socket.sendall(bytes([byte]))
            assert client.reply().result["peer"] == CLIENT


@pytest.mark.parametrize("sent", [request("whoami"), b"PROXY TCP9 \r\n", b"x"])
def test_a_trusted_proxy_without_a_header_is_refused(server: Server, sent: bytes) -> None:
    with server.connect() as client:
        host, port = client.socket.getsockname()
        client.socket.sendall(sent)
        assert ended(client)
    assert f"{host}:{port}: closed: {NO_HEADER}, and " in server.wait_for_log(f"{host}:{port}: closed")


def test_a_header_that_does_not_end_is_not_waited_for_without_end(server: Server) -> None:
    for begun in (b"PROXY TCP4 ", binary(*V4)[:20], b"P"):
        with server.connect() as client:
            client.socket.sendall(begun)
            with contextlib.suppress(ConnectionResetError):
                while client.socket.recv(4096):
                    pass


def test_a_check_that_connects_and_leaves_is_no_news(server: Server) -> None:
    with server.connect() as client:
        port = client.socket.getsockname()[1]
    with server.connect() as client:
        client.socket.sendall(line(*V4))
        assert who(client) == CLIENT
    assert f"127.0.0.1:{port}" not in server.log()


def test_others_are_served_as_they_are_and_refused_with_a_header(server: Server) -> None:
    with server.connect(2) as client:
        assert who(client) == f"[::1]:{client.socket.getsockname()[1]}"
    for header in (line(*V4), binary(*V4)):
        with server.connect(2) as client:
            port = client.socket.getsockname()[1]
            client.socket.sendall(header + request("whoami"))
            assert ended(client)
        server.wait_for_log(f"[::1]:{port}: closed: it sends a PROXY header, and is none of --proxy-protocol")


def ended(client: Client) -> bool:
    """Whether the other end says nothing and closes."""
    try:
        return client.socket.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.samples(1)
@of_each_kind
def test_tls_comes_after_the_header(model: str, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    options = ("-m", model, "-w", "1", *certificates.options, "--proxy-protocol", "127.0.0.1")
    with running(*options, app=MODELS_APP, folder=tmp_path) as server:
        connection = raw(server)
        connection.sendall(binary(*V4))
        with Client(certificates.context().wrap_socket(connection, server_hostname="localhost")) as client:
            assert who(client) == CLIENT
        # It is closed, or reset as what was sent is not read.
        with raw(server) as connection, pytest.raises(OSError, match=r"EOF|reset"):
            certificates.context().wrap_socket(connection, server_hostname="localhost")
        server.wait_for_log(NO_HEADER)


def test_a_server_that_expects_none_says_what_it_was_sent(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server:
        for header in (line(*V4), binary(*V4)):
            with server.connect() as client:
                client.socket.sendall(header)
                assert client.reply().fault is not None
        server.wait_for_log("it looks like a PROXY header, which is read only with --proxy-protocol", 2)
