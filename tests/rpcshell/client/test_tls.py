"""TLS, against servers that speak it well, badly, or not at all; every test holds for both clients."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import rpcshell
from rpcshell import CallTimeout, ConnectionFailed, ConnectionLost, TlsFailed, TlsFiles
from rpcshell.client import dialling
from rpcshell.client.diagnosis import silence_hint
from rpcshell.client.target import Target, TcpTarget, TlsTarget
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, Peer, PeerServer, echo, serving


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def refusal(server: PeerServer, connect: Connect, tls: TlsFiles, **options: float) -> TlsFailed:
    """The error of a client that is not let in, be it when it connects or, as TLS 1.3 has it, with its first call."""
    with pytest.raises(TlsFailed) as caught, connect(server.target, tls=tls, timeout=DEADLINE, **options) as client:
        client.call("ping", 1)
    return caught.value


def test_calls_go_over_one_verified_connection_in_both_directions(certificates: Certificates, connect: Connect) -> None:
    with (
        serving(echo, tls=certificates.server()) as server,
        connect(str(server.target), tls=certificates.trusting) as client,
    ):
        assert str(server.target).startswith("tls://127.0.0.1:")
        text = "é" * 3_000_000
        assert [client.call("ping", value) for value in (1, text, 2)] == [1, text, 2]
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("expired", r"certificate \(of calc, issued by .*\) expired on \w+ +\d+ .* GMT \(the server has to renew it\)"),
        ("early", r"is not valid before \w+ +\d+ .* GMT \(is this machine's clock right\?\)"),
        ("elsewhere", r"is not for 127.0.0.1, but for calc.example, 10.0.0.1 \(connect by a name that it is for\)"),
        ("unknown", r"\(of calc, issued by .*\) comes from an unknown issuer \(--tls-ca FILE names the authority"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_named_with_the_reason(
    certificates: Certificates, connect: Connect, name: str, says: str
) -> None:
    with serving(echo, tls=certificates.server(certificates.bad[name])) as server:
        error = refusal(server, connect, certificates.trusting)
    assert error.exit_code == 3
    assert re.search(says, str(error)), error
    assert str(error).startswith(f"cannot connect to {server.target}: the server's certificate")
    assert "\n" not in str(error)


def test_without_a_ca_file_only_the_systems_authorities_are_trusted(
    certificates: Certificates, connect: Connect
) -> None:
    with serving(echo, tls=certificates.server()) as server:
        assert "unknown issuer" in str(refusal(server, connect, TlsFiles()))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_are_told_what_is_wrong_with_their_certificate(
    certificates: Certificates, connect: Connect, version: ssl.TLSVersion
) -> None:
    context = certificates.server(client_ca=True)
    context.maximum_version = version
    with serving(echo, tls=context) as server:
        missing = refusal(server, connect, certificates.trusting)
        assert "want" in missing.reason
        assert "client certificate" in missing.reason
        assert missing.hint == "--tls-cert FILE and --tls-key FILE say who you are"
        assert "the issuer of the client certificate" in refusal(server, connect, certificates.stranger).reason
        with connect(server.target, tls=certificates.client) as client:
            assert client.call("ping", 1) == 1


def test_files_that_cannot_be_used_are_named(certificates: Certificates, connect: Connect, tmp_path: Path) -> None:
    ca, cert, key = certificates.client.ca, str(certificates.client.cert), str(certificates.client.key)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    with serving(echo, tls=certificates.server()) as server:

        def reason(**files: str | None) -> str:
            return refusal(server, connect, TlsFiles(**files)).reason

        assert reason(ca="none.pem") == "the CA file none.pem cannot be read: no such file or directory"
        assert reason(ca=str(text)) == f"the CA file {text} holds no certificate in PEM form"
        assert reason(ca=ca, cert=cert, key="none") == "the client key none cannot be read: no such file or directory"
        assert reason(ca=ca, key=key) == "a client key was given without its certificate"
        assert reason(ca=ca, cert=cert, key=str(certificates.stranger.key)) == (
            f"the key in {certificates.stranger.key} is not that of the certificate in {cert}"
        )
        alone = refusal(server, connect, TlsFiles(ca=ca, cert=cert))
        assert alone.reason == f"{cert} does not hold both a certificate and its key in PEM form"
        assert alone.hint == "--tls-key FILE names the key, where it is another file"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl encrypts the key")
def test_an_encrypted_key_is_refused_and_nobody_is_asked_at_the_terminal(
    certificates: Certificates, connect: Connect, tmp_path: Path
) -> None:
    key = tmp_path / "encrypted.key"
    command = [
        "openssl",
        "pkey",
        "-aes256",
        "-passout",
        "pass:x",
        "-in",
        str(certificates.client.key),
        "-out",
        str(key),
    ]
    subprocess.run(command, check=True, timeout=10)
    with serving(echo, tls=certificates.server()) as server:
        files = TlsFiles(certificates.ca, certificates.client.cert, str(key))
        assert refusal(server, connect, files).reason == f"the key in {key} is encrypted"


def test_a_server_without_tls_is_told_apart(certificates: Certificates, connect: Connect) -> None:
    def speak(peer: Peer) -> None:
        peer.sock.recv(1)
        peer.sock.sendall(b"\x20\x00\x00\x00" + b'{"out":"error","result":"no"}')
        peer.wait_for_end()

    def hang_up(peer: Peer) -> None:
        peer.sock.recv(65536)

    for handler, says in ((speak, "does not speak TLS"), (hang_up, "ended the connection during the TLS handshake")):
        with serving(handler) as server, pytest.raises(ConnectionFailed, match=says) as caught:
            connect(f"tls://{server.target}", tls=certificates.trusting)
        assert "TLS port" in str(caught.value.hint)


def test_a_handshake_ends_at_the_time_limit(connect: Connect) -> None:
    limits = iter((0.2, 2, 20))
    reason = "no answer"
    with serving(lambda peer: peer.wait_for_end()) as server:
        # A busy machine may not have connected by then.
        while reason.startswith("no answer"):
            limit = next(limits)
            with pytest.raises(ConnectionFailed) as caught:
                connect(f"tls://{server.target}", connect_timeout=limit)
            reason = caught.value.reason
            assert reason.endswith(f" within {limit:g} s")
    assert reason.startswith("no TLS handshake")


@pytest.mark.parametrize("kind", ["tls://", "jsonrpc:https://"])
def test_a_handshake_that_blocks_has_what_connecting_has_left_of_the_time(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dial_tcp, passed = dialling.dial_tcp, [0.0]

    def dial_slowly(target: TcpTarget | TlsTarget, timeout: float) -> socket.socket:
        passed.append(timeout)
        return dial_tcp(target, timeout)

    monkeypatch.setattr(dialling, "dial_tcp", dial_slowly)
    monkeypatch.setattr("rpcshell.client.tls.time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[-1]))
    with serving(lambda peer: peer.wait_for_end()) as server, pytest.raises(ConnectionFailed, match="no TLS handshake"):
        rpcshell.connect(f"{kind}{server.target}", connect_timeout=3600.0)


def test_a_client_without_tls_is_told_of_it_where_the_server_leaves_without_a_word(
    certificates: Certificates, connect: Connect
) -> None:
    with serving(echo, tls=certificates.server()) as server:
        address = str(server.target).removeprefix("tls://")
        with pytest.raises(ConnectionLost) as caught, connect(address) as client:
            client.call("ping", 1)
    assert caught.value.hint == f"if it is a TLS server, connect to tls://{address}"


def test_the_target_with_tls_that_is_named_keeps_its_dialect() -> None:
    hint = silence_hint(Target.parse("qmp:example.org:4444"))
    assert hint is not None
    assert hint.endswith(" connect to qmp:tls://example.org:4444")
    assert Target.parse(hint.split()[-1]) == TlsTarget("example.org", 4444, dialect="qmp")


def test_the_rule_of_retries_holds_over_tls(certificates: Certificates, connect: Connect) -> None:
    def once(peer: Peer) -> None:
        peer.answer(1)
        ended.set()

    def turn_away(peer: Peer) -> None:
        peer.read()
        peer.send({"close": True})

    def lose(peer: Peer) -> None:
        peer.read()

    def stall(peer: Peer) -> None:
        peer.answer(3)
        peer.wait_for_end()

    ended = threading.Event()
    handlers = (once, turn_away, lose, stall)
    with (
        serving(*handlers, tls=certificates.server()) as server,
        connect(server.target, tls=certificates.trusting) as client,
    ):
        assert client.call("ping") == 1
        assert ended.wait(DEADLINE)
        with pytest.raises(ConnectionLost) as caught:
            client.call("ping", 2)
        assert caught.value.may_have_run
        assert server.accepted == 3
        assert client.call("ping", 3) == 3
        with pytest.raises(CallTimeout):
            client.call("ping", 4, timeout=0.2)
