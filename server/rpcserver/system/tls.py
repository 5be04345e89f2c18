"""The server's certificate and key: reading them, checking that they can serve, and naming whom one is for.

It is imported only where TLS is spoken: what it needs of OpenSSL costs each worker memory.
"""

from __future__ import annotations

import logging
import ssl
import stat
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rpcserver.system.contents import read_contents
from rpcserver.system.errors import TlsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

_DAY: Final = 86_400
_WARN_DAYS: Final = 14
_MARK_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_MARK_KEY: Final = b"PRIVATE KEY-----"
_DER: Final = b"\x30"
_NO_CHECK_TIME: Final = 0x20_0000  # openssl/x509_vfy.h: X509_V_FLAG_NO_CHECK_TIME; Python does not name it
# What python.org's builds take; a distribution's may let in every cipher that its OpenSSL knows.
_CIPHERS: Final = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
_SHORT_NAMES: Final = {
    # RFC 4514, section 3
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}


class ServerTls:
    """The server's certificate, and what it asks of clients, as `read_context` reads it.

    Workers inherit what was read when they are forked, so that all of a generation serve the same, and take up each
    other's sessions.
    """

    context: ssl.SSLContext

    def __init__(self, cert: Path, key: Path | None, client_ca: Path | None) -> None:
        self._files = cert, key, client_ca
        self.renew()

    def renew(self) -> None:
        """Read the files again; what was read before stays where they cannot be used.

        Raises:
            TlsError: a file cannot be used.
        """
        self.context = read_context(*self._files)


def read_context(cert: Path, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """Read what a server shows to its clients and asks of them, and try it out.

    Connections are of TLS 1.2 at least, with the ciphers that Python takes for safe, and cannot be renegotiated.
    What clients would refuse, as an expired certificate, is a warning in the log.

    Args:
        cert: the certificate in PEM form, followed by those of its issuers that clients may not know.
        key: the private key in PEM form; None where it is in the same file.
        client_ca: certificates in PEM form, one of which must have issued each client's; None asks for none.

    Raises:
        TlsError: a file cannot be used.
    """
    chain = _read(cert, "certificate")
    if _MARK_CERTIFICATE not in chain:
        raise TlsError(cert, f"holds no certificate in PEM form{_der_hint(chain, 'x509')}")
    holder = key or cert
    secret = _read(holder, "key")
    if _MARK_KEY not in secret:
        advice = ": name its file with --tls-key" if key is None else _der_hint(secret, "pkey")
        raise TlsError(holder, f"holds no private key{'' if key is None else ' in PEM form'}{advice}")
    if holder.stat().st_mode & stat.S_IROTH:
        logger.warning("%s, which holds the private key, can be read by everybody on this machine", holder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    _load(context, cert, holder)
    _rehearse(context, cert)
    if client_ca is not None:
        _ask_clients(context, client_ca)
    return context


def subject_of(certificate: Mapping[str, Any]) -> str | None:
    """Write whom a certificate is for as RFC 4514 does: `CN=alice,O=Example`; None where it names nobody.

    The certificate is what `ssl.SSLSocket.getpeercert` returns.
    """
    names: tuple[tuple[tuple[str, str], ...], ...] = certificate.get("subject", ())
    named = ("+".join(f"{_SHORT_NAMES.get(kind, kind)}={_escaped(value)}" for kind, value in name) for name in names)
    return ",".join(reversed(list(named))) or None


def _read(path: Path, what: str) -> bytes:
    try:
        return read_contents(path)
    except OSError as error:
        raise TlsError(path, f"the {what} cannot be read: {error.strerror}") from error


def _der_hint(data: bytes, command: str) -> str:
    return f": convert it with openssl {command} -inform der" if data.startswith(_DER) else ""


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    def refuse() -> NoReturn:
        # Else OpenSSL would ask at the terminal.
        raise TlsError(key, f"the key is encrypted: decrypt it with openssl pkey -in {key} -out FILE")

    try:
        # load_cert_chain does not say which of the two files is broken.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cert)
    except ssl.SSLError as error:
        raise TlsError(cert, f"the certificate cannot be read: {_words(error)}") from error
    try:
        context.load_cert_chain(cert, key, refuse)
    except ssl.SSLError as error:
        match error.reason:
            case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH":
                raise TlsError(key, f"the key is not that of the certificate in {cert}") from error
            case "EE_KEY_TOO_SMALL" | "CA_KEY_TOO_SMALL" | "CA_MD_TOO_WEAK":
                raise TlsError(cert, f"the certificate is too weak to be used: {_words(error)}") from error
            case _:
                raise TlsError(key, f"the key cannot be read: {_words(error)}") from error


def _ask_clients(context: ssl.SSLContext, client_ca: Path) -> None:
    _read(client_ca, "clients' authority")
    try:
        context.load_verify_locations(client_ca)
    except ssl.SSLError as error:
        raise TlsError(client_ca, "holds no certificate in PEM form, and so trusts no client") from error
    context.verify_mode = ssl.CERT_REQUIRED


def _rehearse(context: ssl.SSLContext, cert: Path) -> None:
    """Be a client that trusts just this certificate, to learn what clients will object to."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    shown = _shake_hands(context, client).getpeercert(binary_form=True)
    if shown is None:
        raise TlsError(cert, "the certificate is not shown to clients")
    client.load_verify_locations(cadata=shown)
    client.verify_mode = ssl.CERT_REQUIRED
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        certificate = _shake_hands(context, client).getpeercert()
    except ssl.SSLCertVerificationError as error:
        logger.warning("%s: clients will refuse the certificate: %s", cert, error.verify_message)
        return
    if certificate:
        _check_dates(cert, str(certificate["notBefore"]), str(certificate["notAfter"]))


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(back, there)
    callee = server.wrap_bio(there, back, server_side=True)
    for end in (caller, callee, caller, callee, caller):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        if end is caller:
            break
    return caller


def _check_dates(cert: Path, not_before: str, not_after: str) -> None:
    now = time.time()
    left = ssl.cert_time_to_seconds(not_after) - now
    if left < 0:
        logger.warning("%s: the certificate expired on %s: clients will refuse it", cert, not_after)
    elif ssl.cert_time_to_seconds(not_before) > now:
        logger.warning("%s: the certificate is not valid before %s: clients will refuse it", cert, not_before)
    elif left < _WARN_DAYS * _DAY:
        logger.warning("%s: the certificate expires on %s: renew it, and reload", cert, not_after)
    else:
        logger.info("%s: the certificate is valid until %s", cert, not_after)


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def _escaped(value: str) -> str:
    """Escape an attribute's value (RFC 4514, section 2.4)."""
    text = "".join(f"\\{character}" if character in '"+,;<>\\' else character for character in value)
    text = text.replace("\0", "\\00")
    if text.startswith((" ", "#")):
        text = f"\\{text}"
    if text.endswith(" ") and text != "\\ ":
        text = f"{text[:-1]}\\ "
    return text
