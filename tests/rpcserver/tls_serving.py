"""Certificates, and clients that speak TLS, for tests."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers import PATIENCE, PROBE_APP, Client, Server

TLS_APP = (
    PROBE_APP
    + """
from rpcserver import Context

@service.method
def subject(context: Context) -> str | None:
    return context.peer.subject
"""
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority, and the files of a server that has a certificate of its own."""

    folder: Path
    authority: trustme.CA

    @property
    def cert(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def client(self) -> Path:
        """A client's certificate, with its key."""
        return self.folder / "client.pem"

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a server that serves it."""
        return ("--tls-cert", str(self.cert), "--tls-key", str(self.key))

    @property
    def asking(self) -> tuple[str, ...]:
        """The same for one that asks clients for certificates."""
        return (*self.options, "--tls-client-ca", str(self.ca))

    def renew(self, issuer: trustme.CA | None = None) -> trustme.LeafCert:
        """Give the server another certificate."""
        leaf = (issuer or self.authority).issue_cert("localhost", "127.0.0.1")
        write(leaf, self.cert, self.key)
        return leaf

    def context(self) -> ssl.SSLContext:
        """What a client trusts, and shows where it is asked."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.client)
        return context


def write(leaf: trustme.LeafCert, cert: Path, key: Path) -> None:
    """Write a certificate and its key, which nobody else may read."""
    cert.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    key.touch(mode=0o600)
    key.write_bytes(leaf.private_key_pem.bytes())


def make_certificates(folder: Path) -> Certificates:
    certificates = Certificates(folder, trustme.CA())
    certificates.ca.write_bytes(certificates.authority.cert_pem.bytes())
    certificates.renew()
    client = certificates.authority.issue_cert(
        "alice@example.org", common_name="alice, the first", organization_name="Example"
    )
    certificates.client.write_bytes(client.private_key_and_cert_chain_pem.bytes())
    return certificates


def odd_client(certificates: Certificates, subject: x509.Name, *extensions: x509.ExtensionType) -> ssl.SSLContext:
    """What a client shows whose certificate is the authority's, and holds what no authority should sign."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.load_pem_x509_certificate(certificates.authority.cert_pem.bytes())
    signer = serialization.load_pem_private_key(certificates.authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder(
        authority.subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        authority.not_valid_before_utc,
        authority.not_valid_after_utc,
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    file = certificates.folder / "odd.pem"
    file.write_bytes(
        builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.load_cert_chain(file)
    return context


def place(server: Server, index: int = 0) -> tuple[str, int]:
    """Where a server listens."""
    host, _, port = server.addresses[index].removeprefix("tls://").rpartition(":")
    return host.strip("[]"), int(port)


def raw(server: Server) -> socket.socket:
    """A connection without TLS."""
    connection = socket.create_connection(place(server), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def secured(server: Server, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Client:
    """A client after its handshake, that takes an end without notice for an error."""
    connection = raw(server)
    try:
        tls = context.wrap_socket(connection, server_hostname="localhost", suppress_ragged_eofs=False, session=session)
    except OSError:
        connection.close()
        raise
    return Client(tls)


class Records:
    """A client that says itself which bytes go when."""

    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        self.socket = raw(server)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def hello(self) -> bytes:
        """The first bytes of the handshake."""
        with_nothing = False
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            with_nothing = True
        assert with_nothing
        return self.outgoing.read()

    def shake_hands(self, *, bytewise: bool = False) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.send(self.outgoing.read(), bytewise=bytewise)
                self.take()
            else:
                self.send(self.outgoing.read(), bytewise=bytewise)
                return

    def records(self, data: bytes) -> bytes:
        """What goes over the wire for some bytes."""
        self.tls.write(data)
        return self.outgoing.read()

    def send(self, data: bytes, *, bytewise: bool = False) -> None:
        for piece in (data[i : i + 1] for i in range(len(data))) if bytewise else (data,):
            self.socket.sendall(piece)

    def take(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.incoming.write(data)

    def recv(self, size: int) -> bytes:
        """Plain bytes, as a socket gives them; nothing once the server has said that no more comes."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                self.take()
