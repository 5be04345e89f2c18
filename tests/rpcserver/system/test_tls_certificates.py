"""Reading certificates when a server starts: what is wrong with them, and in which file, is said at once."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from rpcserver.system.errors import TlsError
from rpcserver.system.tls import ServerTls, read_context, subject_of
from rpcserver.testing import ServerFailed, serve
from tests.rpcserver.tls_serving import Certificates, make_certificates, write
from tests.servers import launched


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


def remove_certificate(found: Certificates) -> Path:
    found.cert.unlink()
    return found.cert


def write_nothing(found: Certificates) -> Path:
    found.cert.write_text("here is no certificate\n")
    return found.cert


def write_der(found: Certificates) -> Path:
    found.cert.write_bytes(ssl.PEM_cert_to_DER_cert(found.ca.read_text()))
    return found.cert


def damage(found: Certificates) -> Path:
    found.cert.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    return found.cert


def remove_key(found: Certificates) -> Path:
    found.key.unlink()
    return found.key


def write_no_key(found: Certificates) -> Path:
    found.key.write_bytes(found.cert.read_bytes())
    return found.key


def damage_key(found: Certificates) -> Path:
    found.key.write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")
    return found.key


def take_another_key(found: Certificates) -> Path:
    write(found.authority.issue_cert("localhost"), found.folder / "other.pem", found.key)
    return found.key


def encrypt_key(found: Certificates) -> Path:
    key = serialization.load_pem_private_key(found.key.read_bytes(), None)
    found.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return found.key


def remove_ca(found: Certificates) -> Path:
    found.ca.unlink()
    return found.ca


def write_no_ca(found: Certificates) -> Path:
    found.ca.write_text("trust nobody\n")
    return found.ca


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (remove_certificate, "the certificate cannot be read: No such file or directory"),
        (write_nothing, "holds no certificate in PEM form"),
        (write_der, "holds no certificate in PEM form: convert it with openssl x509 -inform der"),
        (damage, "the certificate cannot be read: "),
        (remove_key, "the key cannot be read: No such file or directory"),
        (write_no_key, "holds no private key in PEM form"),
        (damage_key, "the key cannot be read: "),
        (take_another_key, "the key is not that of the certificate in {cert}"),
        (encrypt_key, "the key is encrypted: decrypt it with openssl pkey -in {key} -out FILE"),
        (remove_ca, "the clients' authority cannot be read: No such file or directory"),
        (write_no_ca, "holds no certificate in PEM form, and so trusts no client"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    certificates: Certificates, spoil: Callable[[Certificates], Path], reason: str
) -> None:
    guilty = spoil(certificates)
    with pytest.raises(TlsError) as raised:
        read_context(certificates.cert, certificates.key, certificates.ca)
    assert str(raised.value).startswith(f"{guilty}: {reason.format(cert=certificates.cert, key=certificates.key)}")
    assert raised.value.path == guilty


def test_the_key_may_be_in_the_certificates_file(certificates: Certificates) -> None:
    with pytest.raises(TlsError, match=r"cert\.pem: holds no private key: name its file with --tls-key"):
        read_context(certificates.cert, None, None)
    both = certificates.folder / "both.pem"
    both.write_bytes(certificates.key.read_bytes() + certificates.cert.read_bytes())
    both.chmod(0o600)
    assert read_context(both, None, None).verify_mode is ssl.CERT_NONE


def test_connections_are_safe_by_default(certificates: Certificates) -> None:
    context = read_context(certificates.cert, certificates.key, certificates.ca)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert ssl.OP_NO_RENEGOTIATION in context.options
    assert all(
        "ECDHE" in cipher["name"] or "DHE" in cipher["name"] or "TLS_" in cipher["name"]
        for cipher in context.get_ciphers()
    )


NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("dates", "level", "text"),
    [
        ({"not_before": NOW - 9 * DAY, "not_after": NOW - DAY}, logging.WARNING, "the certificate expired on "),
        ({"not_before": NOW + DAY, "not_after": NOW + 99 * DAY}, logging.WARNING, "is not valid before "),
        ({"not_after": NOW + 3 * DAY}, logging.WARNING, "the certificate expires on "),
        ({"not_after": NOW + 99 * DAY}, logging.INFO, "the certificate is valid until "),
    ],
    ids=["expired", "too early", "soon", "good"],
)
def test_the_log_says_until_when_a_certificate_is_good(
    certificates: Certificates,
    dates: dict[str, Any],
    level: int,
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write(certificates.authority.issue_cert("localhost", **dates), certificates.cert, certificates.key)
    with caplog.at_level(logging.INFO):
        read_context(certificates.cert, certificates.key, None)
    assert [(record.levelno, text in record.getMessage()) for record in caplog.records] == [(level, True)]


def test_a_key_that_everybody_can_read_is_a_warning(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    certificates.key.chmod(0o644)
    read_context(certificates.cert, certificates.key, None)
    assert "key.pem, which holds the private key, can be read by everybody" in caplog.text


def test_what_was_read_stays_where_it_cannot_be_read_again(certificates: Certificates) -> None:
    tls = ServerTls(certificates.cert, certificates.key, None)
    before = tls.context
    take_another_key(certificates)
    with pytest.raises(TlsError):
        tls.renew()
    assert tls.context is before
    certificates.renew()
    tls.renew()
    assert tls.context is not before


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ((), None),
        (
            ((("countryName", "NL"),), (("organizationName", "Example"),), (("commonName", "alice"),)),
            "CN=alice,O=Example,C=NL",
        ),
        (((("commonName", "a"), ("userId", "b")),), "CN=a+UID=b"),
        (((("commonName", 'O="x",CN=root+\\;<>'),),), 'CN=O=\\"x\\"\\,CN=root\\+\\\\\\;\\<\\>'),
        (((("commonName", " a "),),), "CN=\\ a\\ "),
        (((("commonName", "#a\0"),),), "CN=\\#a\\00"),
        (((("commonName", " "),),), "CN=\\ "),
        (((("emailAddress", "a@example.org"),),), "emailAddress=a@example.org"),
    ],
)
def test_a_subject_is_written_so_that_none_can_pass_for_another(subject: object, text: str | None) -> None:
    assert subject_of({"subject": subject}) == text


def test_the_command_refuses_to_start_and_says_why(certificates: Certificates, tmp_path: Path) -> None:
    take_another_key(certificates)
    with launched(*certificates.options, "--bind", "127.0.0.1:0", cwd=tmp_path) as server:
        event = server.event()
        assert event["message"] == (
            f"{certificates.key}: the key is not that of the certificate in {certificates.cert}"
        )
        assert server.wait() == 2
        assert f"rpcserver: {event['message']}" in server.log()


@pytest.mark.samples(1)
@pytest.mark.parametrize("source", ["environment", "file"])
def test_the_files_can_be_named_elsewhere(certificates: Certificates, tmp_path: Path, source: str) -> None:
    names = {"tls-cert": certificates.cert, "tls-key": certificates.key, "tls-client-ca": certificates.ca}
    config = tmp_path / "server.toml"
    config.write_text("".join(f"{name} = '{path}'\n" for name, path in names.items()) if source == "file" else "")
    env = {f"RPCSERVER_{name.replace('-', '_').upper()}": str(path) for name, path in names.items()}
    arguments = ("-w", "1", "--bind", "127.0.0.1:0", "--config", str(config))
    with launched(*arguments, cwd=tmp_path, env=env if source == "environment" else None) as server:
        event = server.event()
        assert event["addresses"][0].startswith("tls://127.0.0.1:")


@pytest.mark.parametrize("option", ["--tls-key", "--tls-client-ca"])
def test_a_key_or_an_authority_needs_a_certificate(option: str, certificates: Certificates, tmp_path: Path) -> None:
    with launched(option, str(certificates.key), cwd=tmp_path) as server:
        assert server.wait() == 2
        assert "add --tls-cert" in server.log()


def test_the_testing_kit_says_why_a_certificate_cannot_be_used(certificates: Certificates) -> None:
    remove_key(certificates)
    with (
        pytest.raises(ServerFailed, match=r"key\.pem: the key cannot be read"),
        serve({}, tls_cert=certificates.cert, tls_key=certificates.key),
    ):
        pass
