"""TLS on the client's side: which files it takes, the handshake, and what a failed one means in words.

Servers are always verified, by name and issuer; there is no way to leave that out. Retries and what goes over the
connection are elsewhere; `ssl` is imported only once a target asks for it.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from rpcshell.client.certificate import presented_certificate, why_refused
from rpcshell.client.diagnosis import NO_TLS
from rpcshell.client.errors import TlsFailed

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from rpcshell.client.target import TlsTarget

__all__ = ["TlsFiles", "TlsStream", "broken", "client_context", "explained", "secure", "server_name"]

INSPECTION: Final = 2.0
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


class TlsFiles(msgspec.Struct, frozen=True):
    """The PEM files of the client's side.

    Attributes:
        ca: Certificates of the authorities to trust, or None for the system's own.
        cert: The client's certificate and what follows it in its chain, or None.
        key: The key of it, or None where it is in the same file.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def before(self, *others: TlsFiles) -> TlsFiles:
        """These files, and where there are none those of the others; a certificate and its key go together."""
        ca, cert, key = self.ca, self.cert, self.key
        for other in others:
            ca = ca or other.ca
            if cert is None and key is None:
                cert, key = other.cert, other.key
        return TlsFiles(ca, cert, key)


class TlsStream:
    """An encrypted socket that behaves like one without encryption: what would block raises BlockingIOError.

    Args:
        sock: The socket after its handshake; owned from now on.
        target: Where it leads, for messages.
    """

    __slots__ = ("_socket", "_target")

    def __init__(self, sock: ssl.SSLSocket, target: TlsTarget) -> None:
        self._socket = sock
        self._target = target

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def pending(self) -> int:
        """Bytes that were decrypted already, for which nobody should wait."""
        return self._socket.pending()

    def send(self, data: memoryview) -> int:
        """Encrypt and send; what was refused for now has to be given again as it was."""
        from ssl import SSLWantReadError, SSLWantWriteError

        try:
            return self._socket.send(data)
        except (SSLWantReadError, SSLWantWriteError):
            raise BlockingIOError from None

    def recv(self, size: int) -> bytes:
        """Receive and decrypt.

        Raises:
            BlockingIOError: Nothing has come.
            TlsFailed: The server has refused this client, which it tells only after the handshake (RFC 8446, 4.4.2.4).
            OSError: The connection is broken.
        """
        from ssl import SSLError, SSLWantReadError, SSLWantWriteError

        try:
            return self._socket.recv(size)
        except (SSLWantReadError, SSLWantWriteError):
            raise BlockingIOError from None
        except SSLError as error:
            raise broken(self._target, error) from error


def client_context(files: TlsFiles, target: TlsTarget) -> ssl.SSLContext:
    """What a client verifies servers with, and shows to them.

    Args:
        files: Its files.
        target: Where to, for messages.

    Raises:
        TlsFailed: A file cannot be used.
    """
    import ssl

    for what, file in (("CA file", files.ca), ("client certificate", files.cert), ("client key", files.key)):
        _readable(target, what, file)
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
        raise TlsFailed(target, f"{files.cert} and {key} hold no certificate and key in PEM form") from error
    return context


def secure(
    sock: socket.socket, target: TlsTarget, files: TlsFiles, deadline: float, dial: Callable[[float], socket.socket]
) -> TlsStream:
    """Make the handshake on a connected socket, which is closed where it fails.

    Args:
        sock: The socket.
        target: Where it leads.
        files: What to verify the server with, and what to show it.
        deadline: When to stop, on `time.monotonic`'s clock.
        dial: Makes another such socket within some seconds, to look at a certificate that was refused.

    Raises:
        TlsFailed: The handshake failed.
        TimeoutError: It was not over in time.
        OSError: The connection broke.
    """
    import ssl

    try:
        context = client_context(files, target)
        try:
            return TlsStream(_shake_hands(sock, context, server_name(target), deadline), target)
        except ssl.SSLCertVerificationError as error:
            raise explained(target, error, lambda: dial(INSPECTION)) from error
        except ssl.SSLError as error:
            raise explained(target, error) from error
        except ValueError as error:
            raise TlsFailed(target, "no certificate can be for such a host name") from error
    except BaseException:
        sock.close()
        raise


def server_name(target: TlsTarget) -> str:
    """The name that the server's certificate has to be for: the host without the zone of an IPv6 address."""
    return target.host.partition("%")[0]


def explained(target: TlsTarget, error: ssl.SSLError, dial: Callable[[], socket.socket] | None = None) -> TlsFailed:
    """What a failed handshake means.

    Args:
        target: Where to.
        error: What OpenSSL says.
        dial: Makes a socket to look at the certificate that was refused, where that may be done.
    """
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        found = presented_certificate(dial, server_name(target)) if dial is not None else None
        reason, hint = why_refused(error, target.host, found)
        return TlsFailed(target, reason, hint=hint)
    name = error.reason or ""
    if (meaning := _alert(name)) is not None:
        return TlsFailed(target, meaning, hint=_CLIENT_HINT if "client certificate" in meaning else None)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return TlsFailed(target, "it ended the connection during the TLS handshake", hint=NO_TLS)
    if name in _FOREIGN:
        return TlsFailed(target, "what answers there does not speak TLS", hint=NO_TLS)
    return TlsFailed(target, f"the TLS handshake failed: {_words(name or str(error))}")


def broken(target: TlsTarget, error: ssl.SSLError) -> OSError | TlsFailed:
    """What a TLS error on a connection means after its handshake.

    Args:
        target: Where it leads.
        error: What OpenSSL says.
    """
    if (meaning := _alert(error.reason or "")) is not None:
        return TlsFailed(target, meaning, hint=_CLIENT_HINT if "client certificate" in meaning else None)
    return ConnectionResetError(0, f"TLS broke: {_words(error.reason or str(error))}")


def _shake_hands(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    import ssl

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


def _alert(name: str) -> str | None:
    """What an alert means; OpenSSL writes SSLV3_ALERT_X, TLSV1_ALERT_X, TLSV13_ALERT_X or TLSV1_X."""
    if not name.startswith(("SSLV3_ALERT_", "TLSV")):
        return None
    return next((meaning for alert, meaning in _ALERTS.items() if name.endswith(f"_{alert}")), None)


def _readable(target: TlsTarget, what: str, file: str | None) -> None:
    if file is None:
        return
    from pathlib import Path

    try:
        with Path(file).open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TlsFailed(target, f"the {what} {file} cannot be read: {reason.lower()}") from error


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower()
