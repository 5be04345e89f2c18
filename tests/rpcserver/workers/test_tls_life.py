"""Servers that speak TLS as a whole: renewed certificates, stops and reloads without a lost call, clients that wait."""

from __future__ import annotations

import contextlib
import signal
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from rpcserver import Context, Service
from rpcserver.testing import Client, serve
from rpcwire import ErrorCode, Goodbye, Reply
from tests.models import of_each_kind, preloaded_too
from tests.rpcserver.steering import Gate, steering
from tests.rpcserver.tls_serving import (
    TLS_APP,
    Certificates,
    Records,
    make_certificates,
    odd_client,
    raw,
    secured,
)
from tests.servers import PATIENCE, Server, request, running

CLIENTS = 2

LARGE = 30_000_000
"""Bytes of a reply, which no kernel takes at once."""


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


class Callers:
    """Clients that call in closed loops until the server is gone, and count what was answered."""

    def __init__(self, server: Server, certificates: Certificates, marks: Path) -> None:
        self.answered = threading.Semaphore(0)
        self._server = server
        self._certificates = certificates
        self._marks = marks
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._loops = [self._pool.submit(self._loop) for _ in range(CLIENTS)]

    def wait_for_more(self, calls: int) -> None:
        for _ in range(calls):
            assert self.answered.acquire(timeout=PATIENCE)

    def end(self) -> int:
        """Wait until the server refuses all of them; returns how many calls were answered."""
        counts = [loop.result(PATIENCE) for loop in self._loops]
        self._pool.shutdown()
        return sum(counts)

    def _loop(self) -> int:
        count = 0
        while True:
            try:
                client = secured(self._server, self._certificates.context())
            except ConnectionRefusedError:
                return count
            with client:
                while True:
                    client.send("count", [str(self._marks)], close=True)
                    received = client.receive()
                    assert received is not None
                    if isinstance(received, Reply):
                        assert received.fault is None
                        count += 1
                        self.answered.release()
                    if isinstance(received, Goodbye) or received.close:
                        break


def shown(server: Server, certificates: Certificates) -> bytes | None:
    """The certificate that a new connection gets."""
    with secured(server, certificates.context()) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return client.socket.getpeercert(binary_form=True)


@pytest.mark.samples(1)
@of_each_kind
@preloaded_too
def test_reloads_take_up_renewed_certificates_and_neither_they_nor_a_stop_lose_a_call(
    model: str, preload: tuple[str, ...], certificates: Certificates, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    with running("-m", model, "-w", "3", *preload, *certificates.options, folder=tmp_path) as server:
        callers = Callers(server, certificates, marks)
        with steering(server) as steer:
            callers.wait_for_more(10)
            first = shown(server, certificates)
            certificates.renew()
            assert shown(server, certificates) == first
            server.signal(signal.SIGHUP)
            steer.wait_until(lambda status: {worker["generation"] for worker in status["workers"]} == {1})
            assert shown(server, certificates) != first
            callers.wait_for_more(10)
            renewed = shown(server, certificates)
            certificates.key.write_text("no key")
            server.signal(signal.SIGHUP)
            log = server.wait_for_log("the reload has failed, the workers that serve now stay: ")
            assert f"stay: {certificates.key}: holds no private key in PEM form" in log
            assert steer.status()["reload_problem"] is not None
            assert shown(server, certificates) == renewed
            callers.wait_for_more(10)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert marks.stat().st_size == callers.end()


@pytest.mark.samples(1)
@of_each_kind
def test_what_has_begun_when_the_server_stops_is_served(model: str, certificates: Certificates, tmp_path: Path) -> None:
    with (
        running("-m", model, "-w", "3", "--drain-grace", "0.2", *certificates.options, folder=tmp_path) as server,
        Records(server, certificates.context()) as client,
        Records(server, certificates.context()) as other,
        raw(server) as silent,
        steering(server) as steer,
    ):
        hello = client.hello()
        client.send(hello[:100])
        other.shake_hands()
        record = other.records(request("echo", "begun"))
        other.send(record[:-1])
        steer.wait_until(lambda status: sum(worker["connections"] for worker in status["workers"]) == 3)
        server.signal(signal.SIGTERM)
        # Whoever says nothing at all has its grace, and the others may go on.
        assert silent.recv(1) == b""
        silent.close()
        other.send(record[-1:])
        assert b"begun" in other.recv(1000)
        assert other.recv(1) == b""
        other.socket.close()
        client.send(hello[100:])
        client.shake_hands()
        client.send(client.records(request("echo", "late")))
        assert b"late" in client.recv(1000)
        assert client.recv(1) == b""
        client.socket.close()
        assert server.wait() == 0


@pytest.mark.samples(1)
@of_each_kind
@preloaded_too
def test_a_large_reply_that_is_read_slowly_holds_up_nobody_and_outlives_a_stop(
    model: str, preload: tuple[str, ...], certificates: Certificates, tmp_path: Path
) -> None:
    workers = "2" if model == "sync" else "1"
    with (
        running("-m", model, "-w", workers, *preload, *certificates.options, folder=tmp_path) as server,
        secured(server, certificates.context()) as slow,
        secured(server, certificates.context()) as other,
    ):
        slow.send("blob", [LARGE])
        slow.decoder.feed(slow.socket.recv(1))
        for number in range(3):
            assert other.call("echo", number, close=True).result == number
        server.signal(signal.SIGTERM)
        assert isinstance(other.receive(), Goodbye)
        assert len(slow.reply().result) == LARGE
        slow.close()
        assert server.wait() == 0
        assert "WARNING" not in server.log()


def test_connections_that_hold_sync_workers_idly_make_room(certificates: Certificates, tmp_path: Path) -> None:
    with (
        running("-w", "2", "--reclaim-idle", "0.2", *certificates.options, folder=tmp_path) as server,
        raw(server),
        secured(server, certificates.context()),
        ThreadPoolExecutor(2) as pool,
    ):
        # The handshakes wait too, for one who never began his, and one who has said nothing since.
        waiting = [pool.submit(secured, server, certificates.context()) for _ in range(2)]
        for client in waiting:
            with client.result(PATIENCE) as served:
                assert served.call("echo", 1).result == 1


def test_a_client_that_the_fork_model_has_no_process_for_is_told(certificates: Certificates, tmp_path: Path) -> None:
    with (
        running("-m", "fork", "-w", "1", "--max-children", "1", *certificates.options, folder=tmp_path) as server,
        secured(server, certificates.context()) as first,
    ):
        assert first.call("echo", 1).result == 1
        with secured(server, certificates.context()) as second:
            reply = second.reply()
            assert reply.close
            assert reply.fault is not None
            assert (reply.fault.code, reply.fault.data) == (ErrorCode.BUSY, {"retry": True})
            assert second.receive() is None
        # One that cannot be told is let go.
        with raw(server) as plain:
            plain.sendall(request("echo", 1))
            assert plain.recv(7) == bytes.fromhex("15 03 01 00 02 02 46")
            assert plain.recv(1) == b""
        assert first.call("echo", 2).result == 2


def test_a_client_of_a_service_that_does_not_start_is_told(certificates: Certificates, tmp_path: Path) -> None:
    app = TLS_APP + "\n@service.on_worker_start\ndef fail() -> None:\n    raise OSError('no database')\n"
    with (
        running("-m", "fork", "-w", "1", *certificates.options, app=app, folder=tmp_path) as server,
        secured(server, certificates.context()) as client,
    ):
        fault = client.reply().fault
        assert fault is not None
        assert fault.code == ErrorCode.INTERNAL_ERROR


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", ["thread", "pool", "async"])
def test_requests_that_run_too_long_are_answered(
    model: str, certificates: Certificates, tmp_path: Path, gate: Gate
) -> None:
    with (
        running("-m", model, "-w", "1", "--timeout", "0.2", *certificates.options, folder=tmp_path) as server,
        secured(server, certificates.context()) as client,
    ):
        gate.hold(client)
        reply = client.reply()
        assert reply.close
        assert reply.fault is not None
        assert reply.fault.code == ErrorCode.TIMED_OUT
        assert client.receive() is None
        gate.open()


@pytest.mark.thorough
def test_the_testing_kit_speaks_tls(certificates: Certificates) -> None:
    service = Service("s")

    @service.method
    def subject(context: Context) -> str | None:
        return context.peer.subject

    with serve(service, workers=1, tls_cert=certificates.cert, tls_key=certificates.key) as server:
        assert server.address.startswith("tls://127.0.0.1:")
        with server.connect() as client:
            assert [client.call("subject") for _ in range(3)] == [None] * 3
            server.signal(signal.SIGHUP)
            server.wait_for_log("reloaded")
            assert client.call("subject") is None
        with pytest.raises(ssl.SSLCertVerificationError):
            Client(server.address)
    files: dict[str, Any] = {"tls_key": certificates.key, "tls_client_ca": certificates.ca}
    with (
        serve(service, workers=1, tls_cert=certificates.cert, access_log=True, **files) as server,
        server.connect(tls=certificates.context()) as client,
    ):
        assert str(client.call("subject")).startswith("CN=alice")
        server.wait_for_log(r"127\.0\.0\.1:\d+ subject ok")


NOT_TEXT = b"\xff\xfe"
NAMELESS = x509.Name([])


def not_text(kind: int) -> x509.ExtensionType:
    """A subject's alternative name of a kind that is text (RFC 5280, 4.2.1.6), and is not."""
    name = bytes([0x80 | kind, len(NOT_TEXT)]) + NOT_TEXT
    return x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.17"), bytes([0x30, len(name)]) + name)


UNREADABLE = [
    *(not_text(kind) for kind in (1, 2, 6)),
    # cRLDistributionPoints: one whose address is no text
    x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.31"), bytes.fromhex("300a 3008 a006 a004 8602") + NOT_TEXT),
    # authorityInfoAccess: OCSP at one
    x509.UnrecognizedExtension(
        ObjectIdentifier("1.3.6.1.5.5.7.1.1"), bytes.fromhex("3010 300e 0608 2b06010505073001 8602") + NOT_TEXT
    ),
]


@pytest.mark.samples(1)
@of_each_kind
def test_what_a_certificate_holds_costs_its_client_alone(
    model: str, certificates: Certificates, tmp_path: Path
) -> None:
    with running("-m", model, "-w", "1", *certificates.asking, app=TLS_APP, folder=tmp_path) as server:
        (worker,) = server.workers()
        neighbours = [] if model == "sync" else [secured(server, certificates.context())]
        for extension in UNREADABLE:
            # How much of the end a client is told depends on its ssl module.
            with (
                secured(server, odd_client(certificates, NAMELESS, extension)) as client,
                contextlib.suppress(ssl.SSLError, ConnectionError),
            ):
                client.send("subject")
                assert client.receive() is None
        server.wait_for_log("the client's certificate cannot be read", times=len(UNREADABLE))
        for client in neighbours:
            assert str(client.call("subject").result).startswith("CN=alice")
            client.close()
        with secured(server, odd_client(certificates, NAMELESS)) as client:
            assert client.call("subject").result is None
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\0b,O=c\r\n\x1b[31m")])
        with secured(server, odd_client(certificates, name)) as client:
            assert client.call("subject").result == "CN=a\\00b\\,O=c\r\n\x1b[31m"
        assert server.workers() == [worker]
        assert "CRITICAL" not in server.log()
        assert "Traceback" not in server.log()
