"""TLS on the client's side: the handshake, and what a failed one means in words.

Servers are always verified, by name and issuer; there is no way to leave that out. This is imported only once a target
asks for TLS.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from ssl import SSLError, SSLWantReadError, SSLWantWriteError
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from rpcshell.client.diagnosis import NO_TLS, system_reason
from rpcshell.client.errors import ConnectionFailed, TlsFailed

if TYPE_CHECKING:
    from rpcshell.client.target import TlsFiles, TlsTarget

_INSPECTION: Final = 2.0
"""Seconds to look at a certificate that was refused."""

_ALERTS: Final = {
    "CERTIFICATE_REQUIRED": "it wants a client certificate, and none was given",
    "HANDSHAKE_FAILURE": "it refused the handshake: it may want a client certificate, or ciphers that are not here",
    "UNKNOWN_CA": "it does not know the issuer of the client certificate",
    "CERTIFICATE_EXPIRED": "it says that the client certificate has expired",
    "CERTIFICATE_REVOKED": "it says that the client certificate was revoked",
    "BAD_CERTIFICATE": "it refused the client certificate, or wants one that was not given",
    "UNSUPPORTED_CERTIFICATE": "it does not accept client certificates of this kind",
    "CERTIFICATE_UNKNOWN": "it refused the client certificate",
    "ACCESS_DENIED": "it denied access to the client certificate",
    "DECRYPT_ERROR": "it could not verify the client certificate's signature",
    "PROTOCOL_VERSION": "it speaks no version of TLS that is safe",
    "UNRECOGNIZED_NAME": "it does not serve this host name",
}
"""What alerts of a server (RFC 8446, section 6.2) mean to whoever was refused."""

_FOREIGN: Final = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_CLIENT_HINT: Final = "--tls-cert FILE and --tls-key FILE say who you are"

# From OpenSSL's x509_vfy.h; X509_verify_cert_error_string(3) explains them.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_REVOKED: Final = 23
_SELF_SIGNED: Final = 18
_UNKNOWN_ISSUER: Final = (2, 19, 20, 21)
_OTHER_HOST: Final = (62, 64)
_NO_CHECK_TIME: Final = 0x200000

_CA_HINT: Final = "--tls-ca FILE names the authority to trust"
_MOST_NAMES: Final = 4


class TlsStream:
    """An encrypted socket that behaves like one without encryption: what would block raises BlockingIOError."""

    __slots__ = ("_target", "socket")

    def __init__(self, sock: ssl.SSLSocket, target: TlsTarget) -> None:
        self.socket = sock
        self._target = target

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def shutdown(self, how: int) -> None:
        """Shut down the socket below, and leave the encryption to whoever uses it."""
        socket.socket.shutdown(self.socket, how)

    def pending(self) -> int:
        """Bytes that were decrypted already, for which nobody should wait."""
        return self.socket.pending()

    def send(self, data: memoryview) -> int:
        """Encrypt and send; what was refused for now has to be given again as it was."""
        try:
            return self.socket.send(data)
        except (SSLWantReadError, SSLWantWriteError):
            raise BlockingIOError from None

    def recv(self, size: int) -> bytes:
        """Receive and decrypt.

        Raises:
            BlockingIOError: Nothing has come.
            TlsFailed: The server has refused this client, which it tells only after the handshake (RFC 8446, 4.4.2.4).
            OSError: The connection is broken.
        """
        try:
            return self.socket.recv(size)
        except (SSLWantReadError, SSLWantWriteError):
            raise BlockingIOError from None
        except SSLError as error:
            raise broken(self._target, error) from error


def client_context(files: TlsFiles, target: TlsTarget) -> ssl.SSLContext:
    """What a client verifies servers with, and shows to them; raises `TlsFailed` where a file cannot be used."""
    for what, file in (("CA file", files.ca), ("client certificate", files.cert), ("client key", files.key)):
        try:
            if file is not None:
                Path(file).open("rb").close()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TlsFailed(target, f"the {what} {file} cannot be read: {reason.lower()}") from error
    if files.key is not None and files.cert is None:
        raise TlsFailed(target, "a client key was given without its certificate", hint=_CLIENT_HINT)
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except ssl.SSLError as error:
        raise TlsFailed(target, f"the CA file {files.ca} holds no certificate in PEM form") from error
    if files.cert is None:
        return context
    key = files.key or files.cert

    def refuse() -> NoReturn:
        # Without this OpenSSL would ask at the terminal by itself.
        raise TlsFailed(target, f"the key in {key} is encrypted", hint=f"decrypt it: openssl pkey -in {key}")

    try:
        context.load_cert_chain(files.cert, files.key, refuse)
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise TlsFailed(target, f"the key in {key} is not that of the certificate in {files.cert}") from error
        if files.key is None:
            hint = "--tls-key FILE names the key, where it is another file"
            half = f"{files.cert} does not hold both a certificate and its key in PEM form"
            raise TlsFailed(target, half, hint=hint) from error
        raise TlsFailed(target, f"{files.cert} and {key} hold no certificate and key in PEM form") from error
    return context


def secure(sock: socket.socket, target: TlsTarget, files: TlsFiles, deadline: float) -> TlsStream:
    """Make the handshake on a connected socket until `deadline`, on `time.monotonic`'s clock; where it fails, close it.

    Raises:
        TlsFailed: A file cannot be used.
        OSError, ValueError: The handshake failed, which `handshake_failed` explains.
    """
    try:
        return TlsStream(_shake_hands(sock, client_context(files, target), server_name(target), deadline), target)
    except BaseException:
        sock.close()
        raise


def server_name(target: TlsTarget) -> str:
    """The name that the server's certificate has to be for: the host without the zone of an IPv6 address."""
    return target.host.partition("%")[0]


def handshake_failed(
    target: TlsTarget, error: OSError | ValueError, timeout: float, dial: Callable[[float], socket.socket]
) -> ConnectionFailed:
    """What a failed handshake means, for which there were `timeout` seconds.

    `dial` makes another socket within some seconds, to look at a certificate that was refused.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        found = _presented_certificate(lambda: dial(_INSPECTION), server_name(target))
        reason, hint = _why_refused(error, target.host, found)
        return TlsFailed(target, reason, hint=hint)
    if isinstance(error, ssl.SSLError):
        return _refused(target, error)
    match error:
        case TimeoutError():
            return ConnectionFailed(target, f"no TLS handshake within {timeout:g} s", hint=NO_TLS)
        case ConnectionError():
            return ConnectionFailed(target, "it ended the connection during the TLS handshake", hint=NO_TLS)
        case OSError():
            return ConnectionFailed(target, f"{system_reason(error)} during the TLS handshake")
    return TlsFailed(target, "no certificate can be for such a host name")


def _refused(target: TlsTarget, error: ssl.SSLError) -> TlsFailed:
    name = error.reason or ""
    if (alert := _alert(target, name)) is not None:
        return alert
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return TlsFailed(target, "it ended the connection during the TLS handshake", hint=NO_TLS)
    if name in _FOREIGN:
        return TlsFailed(target, "what answers there does not speak TLS", hint=NO_TLS)
    return TlsFailed(target, f"the TLS handshake failed: {_words(name or str(error))}")


def broken(target: TlsTarget, error: ssl.SSLError) -> OSError | TlsFailed:
    """What a TLS error on a connection means after its handshake."""
    reason = error.reason or ""
    return _alert(target, reason) or ConnectionResetError(0, f"TLS broke: {_words(reason or str(error))}")


def _shake_hands(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    sock.setblocking(False)
    secured = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    poll = select.poll()
    poll.register(secured)
    try:
        while True:
            try:
                secured.do_handshake()
                return secured
            except ssl.SSLWantReadError:
                poll.modify(secured, select.POLLIN)
            except ssl.SSLWantWriteError:
                poll.modify(secured, select.POLLOUT)
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not poll.poll(remaining * 1000):
                raise TimeoutError
    except BaseException:
        secured.close()
        raise


def _alert(target: TlsTarget, name: str) -> TlsFailed | None:
    """The error that an alert is; OpenSSL writes SSLV3_ALERT_X, TLSV1_ALERT_X, TLSV13_ALERT_X or TLSV1_X."""
    meaning = next((meaning for alert, meaning in _ALERTS.items() if name.endswith(f"_{alert}")), None)
    if meaning is None or not name.startswith(("SSLV3_ALERT_", "TLSV")):
        return None
    return TlsFailed(target, meaning, hint=_CLIENT_HINT if "client certificate" in meaning else None)


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower()


class _Certificate(msgspec.Struct, frozen=True):
    """What a certificate says about itself: whose it is, by its common name or the first of its names, for which hosts
    and addresses, and when, in the times that OpenSSL writes.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: str
    ends: str


def _presented_certificate(dial: Callable[[], socket.socket], host: str) -> _Certificate | None:
    """What a server shows of itself, whoever signed it. Nothing is sent to it but the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with context.wrap_socket(dial(), server_hostname=host) as sock:
            encoded = sock.getpeercert(binary_form=True)
        if encoded is None:
            return None
        # Python decodes only what was verified; a certificate can be verified with itself as the authority.
        context.load_verify_locations(cadata=encoded)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        context.verify_mode = ssl.CERT_REQUIRED
        with context.wrap_socket(dial(), server_hostname=host) as sock:
            return _read(sock.getpeercert() or {})
    except (OSError, ValueError):
        # Whatever it is, the refusal itself is what will be told.
        return None


def _why_refused(error: ssl.SSLCertVerificationError, host: str, found: _Certificate | None) -> tuple[str, str | None]:
    """The reason for a refusal, and what can be done about it."""
    which = "the server's certificate"
    if found is not None:
        which += f" (of {found.subject}, issued by {found.issuer})"
    code = error.verify_code
    if code in _OTHER_HOST:
        names = _listed(found.names) if found is not None else ""
        return f"{which} is not for {host}{f', but for {names}' if names else ''}", "connect by a name that it is for"
    if code == _EXPIRED:
        when = f" on {found.ends}" if found is not None and ssl.cert_time_to_seconds(found.ends) < time.time() else ""
        # A chain is as good as its oldest link, and OpenSSL does not say which one it was.
        what = which if when or found is None else f"a certificate above {which.removeprefix('the ')}"
        return f"{what} expired{when}", "the server has to renew it"
    if code == _NOT_YET_VALID:
        when = f" before {found.begins}" if found is not None else ""
        return f"{which} is not valid{when or ' yet'}", "is this machine's clock right?"
    if code == _SELF_SIGNED:
        return f"{which} is self-signed and not trusted", "--tls-ca FILE trusts it, if FILE is that certificate"
    if code in _UNKNOWN_ISSUER:
        return f"{which} comes from an unknown issuer", _CA_HINT
    if code == _REVOKED:
        return f"{which} was revoked", None
    return f"{which} is refused: {error.verify_message}", None


def _read(decoded: Any) -> _Certificate:
    names = tuple(str(name) for _, name in decoded.get("subjectAltName", ()))
    subject = _common_name(decoded.get("subject", ())) or next(iter(names), "nobody")
    issuer = _common_name(decoded.get("issuer", ())) or "nobody"
    return _Certificate(subject, issuer, names, decoded.get("notBefore", ""), decoded.get("notAfter", ""))


def _common_name(name: Any) -> str:
    """The most telling part of a distinguished name (RFC 5280, section 4.1.2.4)."""
    parts = {key: value for group in name for key, value in group}
    for key in ("commonName", "organizationalUnitName", "organizationName"):
        if key in parts:
            return str(parts[key])
    return ", ".join(f"{key}={value}" for key, value in parts.items())


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
