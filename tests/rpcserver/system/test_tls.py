"""What every worker model does with connections that speak TLS: the same as with those that do not."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcwire import ErrorCode, FrameDecoder, Goodbye, Reply, decode_reply
from tests.models import EACH_KIND
from tests.rpcserver.tls_serving import TLS_APP, Certificates, Records, make_certificates, raw, secured
from tests.servers import Client, Server, request, running

code = pytest.mark.parametrize("model", ["sync", "pool", "async"], scope="function")
"""The models that differ in how they read and write."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=EACH_KIND)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(model: str, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(model)
    bind = ("127.0.0.1:0", f"unix:{folder}/probe.sock")
    options = ("-m", model, "-w", "5", "--max-frame", "6M", *certificates.asking)
    with running(*options, app=TLS_APP, folder=folder, bind=bind) as server:
        yield server


@pytest.fixture
def hasty(model: str, certificates: Certificates, tmp_path: Path) -> Iterator[Server]:
    """A server without patience, for tests of that alone: a busy machine makes any client slow."""
    limits = ("--read-timeout", "2", "--write-timeout", "0.3")
    with running("-m", model, "-w", "5", *limits, *certificates.asking, app=TLS_APP, folder=tmp_path) as server:
        yield server


@pytest.fixture
def client(server: Server, certificates: Certificates) -> Iterator[Client]:
    with secured(server, certificates.context()) as client:
        yield client


@pytest.mark.samples(2)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_calls_are_answered_and_the_end_is_said(
    server: Server, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    context = certificates.context()
    context.maximum_version = version
    with secured(server, context) as client:
        for value in ({"a": 1}, "x" * 100_000, None):
            assert client.call("echo", value).result == value
        assert client.call("subject").result
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.version() == version.name.replace("_", ".")
        # The server says the same, or this raises.
        client.socket.unwrap().close()


def test_unix_sockets_stay_plain(server: Server) -> None:
    assert [address.partition(":")[0] for address in server.addresses] == ["tls", "unix"]
    with server.connect(1) as client:
        assert client.call("echo", 1).result == 1


@pytest.mark.samples(1)
def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    client.socket.sendall(b"".join(request("echo", number) for number in range(1000)))
    assert [client.reply().result for _ in range(1000)] == list(range(1000))


@pytest.mark.samples(1)
def test_large_frames_go_both_ways(client: Client) -> None:
    text = "x" * 5_000_000
    assert client.call("echo", text).result == text
    client.socket.sendall(request("blob", [300_000]) * 20)
    assert [len(client.reply().result) for _ in range(20)] == [300_000] * 20


def test_a_handshake_and_a_record_may_arrive_byte_by_byte(server: Server, certificates: Certificates) -> None:
    with Records(server, certificates.context()) as client:
        client.shake_hands(bytewise=True)
        client.send(client.records(request("echo", 1) + request("echo", 2)), bytewise=True)
        assert replies(client, 2) == [1, 2]


def test_records_need_not_be_frames(server: Server, certificates: Certificates) -> None:
    data = request("echo", 1) + request("echo", "x" * 50) + request("echo", 3)
    with Records(server, certificates.context()) as client:
        client.shake_hands()
        # One read has whole records, half a record, and a frame that ends in none of them.
        parts = client.records(data[:40]) + client.records(data[40:])
        client.send(parts[:-7])
        assert replies(client, 1) == [1]
        client.send(parts[-7:])
        assert replies(client, 2) == ["x" * 50, 3]


def test_requests_before_a_half_close_are_answered(server: Server, certificates: Certificates) -> None:
    with Records(server, certificates.context()) as client:
        client.shake_hands()
        data = client.records(request("echo", 1) + request("echo", 2) + request("echo", 3))
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()
        # The end is said in the same read, and the connection stays open: only TLS knows of it.
        client.send(data + client.outgoing.read())
        assert replies(client, 3) == [1, 2, 3]
        assert client.recv(1) == b""


def test_an_end_that_is_not_said_does_no_harm(server: Server, certificates: Certificates) -> None:
    with Records(server, certificates.context()) as client:
        client.shake_hands()
        client.send(client.records(request("echo", 1)))
        client.socket.shutdown(socket.SHUT_WR)
        assert replies(client, 1) == [1]
        assert client.recv(1) == b""


@pytest.mark.parametrize("bytes_short", [3, 60], ids=["in a record", "in a frame"])
def test_an_end_inside_a_frame_is_logged(server: Server, certificates: Certificates, bytes_short: int) -> None:
    with Records(server, certificates.context()) as client:
        client.shake_hands()
        address = "{}:{}".format(*client.socket.getsockname())
        frame = request("echo", "x" * 200)
        whole = client.records(frame[:-60]) + client.records(frame[-60:])
        client.send(whole[:-3] if bytes_short == 3 else whole[: -60 - len(client.records(b""))])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    server.wait_for_log(f"{address}: the stream ended")


def test_a_frame_over_the_limit_is_refused_whatever_the_client_still_sends(client: Client) -> None:
    client.socket.sendall(request("echo", "x" * 6_500_000)[:40_000])
    reply = client.reply()
    assert reply.close
    assert reply.fault is not None
    assert reply.fault.code == ErrorCode.FRAME_TOO_LARGE
    assert client.receive() is None


@pytest.mark.samples(1)
def test_a_client_that_does_not_go_on_with_what_it_has_begun_is_let_go(
    hasty: Server, certificates: Certificates
) -> None:
    with (
        Records(hasty, certificates.context()) as in_frame,
        Records(hasty, certificates.context()) as in_record,
        Records(hasty, certificates.context()) as in_handshake,
        Records(hasty, certificates.context()) as dripping,
        raw(hasty) as silent,
    ):
        started = time.monotonic()
        in_handshake.send(in_handshake.hello()[:50])
        dripping.send(b"\x16")
        data = request("echo", 1)
        for client in (in_frame, in_record):
            client.shake_hands()
            client.send(client.records(data))
            assert replies(client, 1) == [1]
        in_frame.send(in_frame.records(data[:-1]))
        in_record.send(in_record.records(data)[:-1])
        for client in (in_frame, in_record):
            assert replies(client, 1, faults=True) == [ErrorCode.TIMED_OUT]
            assert client.recv(1) == b""
        # A byte now and then is no reason to go on waiting.
        drip(dripping)
        assert in_handshake.socket.recv(1) == silent.recv(1) == b""
        assert time.monotonic() - started > 1.5
        lost = (silent, in_handshake.socket, dripping.socket)
        addresses = ["{}:{}".format(*connection.getsockname()) for connection in lost]
    for address in addresses:
        hasty.wait_for_log(f"{address}: the TLS handshake took longer than 2 s")


@pytest.mark.samples(1)
def test_a_client_that_never_reads_is_reset(hasty: Server, certificates: Certificates) -> None:
    client = secured(hasty, certificates.context())
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    address = "{}:{}".format(*client.socket.getsockname())
    client.send("blob", [12_000_000])
    hasty.wait_for_log(f"{address}: closed, because the client does not read its replies")
    with client, pytest.raises(OSError, match=r"reset|EOF|eof"):
        client.receive()


@pytest.mark.samples(1)
def test_a_slow_reader_gets_its_whole_reply(client: Client) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.send("blob", [5_000_000])
    assert len(client.reply().result) == 5_000_000


def test_a_client_that_leaves_in_the_middle_of_its_handshake_is_logged(
    server: Server, certificates: Certificates
) -> None:
    with Records(server, certificates.context()) as client:
        address = "{}:{}".format(*client.socket.getsockname())
        client.send(client.hello())
        client.socket.shutdown(socket.SHUT_WR)
        while client.socket.recv(65536):
            pass
    server.wait_for_log(f"{address}: the client left in the middle of the TLS handshake")


@pytest.mark.parametrize("data", [request("echo", 1), b"GET / HTTP/1.1\r\n\r\n"], ids=["ours", "http"])
def test_a_plain_client_is_told_as_tls_does_and_logged(server: Server, data: bytes) -> None:
    with raw(server) as client:
        address = "{}:{}".format(*client.getsockname())
        client.sendall(data)
        received = b""
        while piece := client.recv(100):
            received += piece
        assert received == bytes.fromhex("15 03 01 00 02 02 46")
    server.wait_for_log(f"{address}: this address speaks TLS, and the client does not")


@pytest.mark.samples(1)
def test_a_client_that_does_not_trust_the_server_is_logged(server: Server) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        secured(server, ssl.create_default_context())
    server.wait_for_log("the client does not accept this server's certificate (unknown ca)")


def test_a_stream_that_is_broken_is_ended_and_nothing_runs_that_cannot_be_answered(
    server: Server, certificates: Certificates, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    with Records(server, certificates.context()) as client:
        client.shake_hands()
        address = "{}:{}".format(*client.socket.getsockname())
        good, bad = client.records(request("count", [str(marks)])), client.records(request("echo", 2))
        client.send(good + bad[:-1] + bytes([bad[-1] ^ 1]))
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
            client.recv(1)
    server.wait_for_log(f"{address}: the client has broken TLS")
    assert not marks.exists()


@pytest.mark.samples(1)
def test_a_reset_does_no_harm(server: Server, certificates: Certificates) -> None:
    before = sorted(server.workers())
    for _ in range(5):
        client = secured(server, certificates.context())
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.sendall(request("echo", "x" * 1000) * 5)
        client.close()
    with secured(server, certificates.context()) as client:
        assert client.call("echo", 1).result == 1
    assert sorted(server.workers()) == before


@pytest.mark.samples(1)
@code
def test_an_idle_connection_is_ended_with_a_goodbye_where_that_is_heeded(
    model: str, certificates: Certificates, tmp_path: Path
) -> None:
    with (
        running("-m", model, "-w", "2", "--idle-timeout", "1", *certificates.options, folder=tmp_path) as server,
    ):
        with secured(server, certificates.context()) as heeding:
            assert heeding.call("echo", 1, close=True).result == 1
            assert isinstance(heeding.receive(), Goodbye)
            assert heeding.receive() is None
        with secured(server, certificates.context()) as plain:
            assert plain.call("echo", 1).result == 1
            assert plain.receive() is None


def test_handlers_see_whose_the_clients_certificate_is(server: Server, certificates: Certificates) -> None:
    context = certificates.context()
    session: ssl.SSLSession | None = None
    for _ in range(6):
        with secured(server, context, session) as client:
            subject = client.call("subject").result
            assert subject.startswith("CN=alice\\, the first,OU=")
            assert subject.endswith(",O=Example")
            # What one worker has found out about a client, every other takes up.
            assert isinstance(client.socket, ssl.SSLSocket)
            assert client.socket.session_reused is (session is not None)
            session = client.socket.session
    with server.connect(1) as local:
        assert local.call("subject").result is None


def test_clients_without_a_certificate_or_with_anothers_are_refused_and_logged(
    server: Server, certificates: Certificates, tmp_path: Path
) -> None:
    nobody = ssl.create_default_context(cafile=str(certificates.ca))
    with secured(server, nobody) as client, pytest.raises(ssl.SSLError, match="CERTIFICATE_REQ"):
        client.call("echo", 1)
    server.wait_for_log("the client has shown no certificate, which this server asks for")
    nobody.load_cert_chain(make_certificates(tmp_path).client)
    with secured(server, nobody) as client, pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        client.call("echo", 1)
    server.wait_for_log("the client's certificate is refused: unable to get local issuer certificate")


@pytest.mark.samples(1)
@code
def test_a_tls_client_on_a_plain_port_is_refused_and_logged(
    model: str, certificates: Certificates, tmp_path: Path
) -> None:
    with running("-m", model, "-w", "1", folder=tmp_path) as server:
        with pytest.raises(ssl.SSLError):
            secured(server, certificates.context())
        server.wait_for_log("it looks like TLS, which is spoken here only with --tls-cert")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1


def drip(client: Records) -> None:
    """Send a handshake byte by byte until the server has had enough."""
    client.socket.settimeout(0.02)
    for byte in client.hello()[1:]:
        try:
            client.send(bytes([byte]))
            if not client.socket.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("the server waited for all of it")


def replies(client: Records, count: int, *, faults: bool = False) -> list[object]:
    """The results of the next replies, or the codes of their faults."""
    decoder = FrameDecoder(1 << 30)
    results: list[object] = []
    while len(results) < count:
        if (body := decoder.next_frame()) is None:
            data = client.recv(65536)
            assert data
            decoder.feed(data)
            continue
        reply = decode_reply(body)
        assert isinstance(reply, Reply)
        results.append(reply.fault.code if faults and reply.fault is not None else reply.result)
    return results
