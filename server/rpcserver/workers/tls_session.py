"""TLS on the server's side of one connection, without any I/O: bytes of records in, plain bytes out, and back.

Where it filters the bytes of a connection is `conversation`; the certificate is read in `system.tls`.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Final

from rpcserver.system.tls import subject_of
from rpcwire import FrameError

_HEADER: Final = 5  # RFC 8446, 5.1: a record's type, version and length
_LARGEST_RECORD: Final = 16 * 1024
_HANDSHAKE: Final = b"\x16\x03"  # RFC 8446, 5.1: how the first record of every client begins
_WRONG_PROTOCOL: Final = bytes.fromhex("15 0301 0002 02 46")  # RFC 8446, 6: an alert, fatal, protocol_version

_CLIENT_REFUSES: Final = frozenset(
    {"BAD_CERTIFICATE", "CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "UNSUPPORTED_CERTIFICATE"}
)
_NO_TLS: Final = "this address speaks TLS, and the client does not: connect to it as tls://HOST:PORT"
_MEANINGS: Final = {
    "HTTP_REQUEST": _NO_TLS,
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "NO_SHARED_CIPHER": "the client and this server have no cipher in common",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "the client knows no signature that the certificate's key can make",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client has shown no certificate, which this server asks for",
    "UNSUPPORTED_PROTOCOL": "the client speaks no TLS as new as 1.2",
}


class TlsFailure(FrameError):
    """The client's side of TLS is wrong; nothing more can be said to it."""


class TlsSession:
    """The TLS of one connection.

    All that a read brought is decrypted at once and nothing stays behind, so that a descriptor with nothing to be
    read has nothing to be read here either.
    """

    __slots__ = (
        "_failure",
        "_header",
        "_incoming",
        "_left",
        "_outgoing",
        "_tls",
        "begun",
        "ended",
        "established",
        "failed",
        "subject",
    )

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._failure: TlsFailure | None = None
        # Of the record that has begun: how much of it has not come, or as much of its header as has.
        self._left = 0
        self._header = b""
        self.begun = False  # whether anything has come
        self.established = False
        self.ended = False  # whether the client has said that it sends no more
        self.failed = False  # whether nothing can be said or read any more
        # Whom the client's certificate is for; None where it was asked for none, or that names nobody.
        self.subject: str | None = None

    @property
    def mid_record(self) -> bool:
        """Whether part of a record has come."""
        return bool(self._left or self._header)

    @property
    def untouched(self) -> bool:
        """Whether the client has not begun the handshake that it must make."""
        return not (self.begun or self.failed)

    @property
    def unfinished(self) -> bool:
        """Whether the client has begun what it must go on with: its handshake, or a record."""
        return self.begun and not self.failed and (not self.established or self.mid_record)

    def receive(self, data: bytes) -> bytes:
        """Take what a read brought, and return the plain bytes in it; there may be none.

        Raises:
            TlsFailure: it is no TLS, or breaks it. Nothing can be answered then, so nothing before that is returned.
        """
        if self._failure is not None:
            raise self._failure
        if not self.begun:
            self._begin(data)
        self._incoming.write(data)
        if self._left or self._header or len(data) < _HEADER or len(data) - _HEADER != data[3] << 8 | data[4]:
            self._count(data)
        if not self.established and not self._shake_hands():
            return b""
        return self._read()

    def receive_eof(self) -> None:
        """Say that the stream has ended, whether or not the client has said so.

        Raises:
            TlsFailure: the end came inside the handshake, or inside a record.
        """
        if not self.unfinished:
            self.ended = True
            return
        if not self.established:
            raise self._fail("the client left in the middle of the TLS handshake")
        raise TlsFailure("the stream ended inside a TLS record")

    def give_up(self, limit: float) -> TlsFailure:
        """End a handshake that has taken longer than `limit` seconds, and return what to say about it."""
        return self._fail(f"the TLS handshake took longer than {limit:g} s")

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Encrypt; what it returns must be sent."""
        if self.failed:
            return b""
        self._tls.write(data)
        return self._outgoing.read()

    def output(self) -> bytes:
        """What must be sent beside what is written: the handshake, alerts."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def end(self) -> bytes:
        """Say that nothing more is written; what it returns must be sent."""
        if self.established and not self.failed:
            # The client has not said the same yet, or never will.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
        return self.output()

    def _begin(self, data: bytes) -> None:
        if not data.startswith(_HANDSHAKE[: len(data)]) or data[2:3] > b"\x04":
            self._outgoing.write(_WRONG_PROTOCOL)
            raise self._fail(_NO_TLS)
        self.begun = True

    def _count(self, data: bytes) -> None:
        """Find out whether a record is left unfinished; OpenSSL does not say."""
        if self._header:
            data, self._header = self._header + data, b""
        position, self._left = self._left, 0
        while position < len(data):
            if position + _HEADER > len(data):
                self._header = data[position:]
                return
            position += _HEADER + (data[position + 3] << 8 | data[position + 4])
        self._left = position - len(data)

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise self._fail(f"the TLS handshake failed: {_reason(error)}") from error
        try:
            certificate = self._tls.getpeercert()
        except (ValueError, ArithmeticError, Warning, ssl.SSLError) as error:
            # Python reads all of what a verified certificate holds, and OpenSSL has verified no text in it.
            raise self._fail(f"the client's certificate cannot be read: {error}") from error
        self.subject = subject_of(certificate) if certificate else None
        self.established = True
        return True

    def _read(self) -> bytes:
        read = self._tls.read
        incoming = self._incoming
        pieces: list[bytes] = []
        try:
            while True:
                piece = read(_LARGEST_RECORD)
                if not piece:
                    self.ended = True
                    break
                if not incoming.pending and not pieces:
                    return piece
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise self._fail(f"the client has broken TLS: {_reason(error)}") from error
        return b"".join(pieces)

    def _fail(self, reason: str) -> TlsFailure:
        self.failed = True
        self._failure = failure = TlsFailure(reason)
        return failure


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate is refused: {error.verify_message}"
    name = error.reason or "UNKNOWN"
    if name in _MEANINGS:
        return _MEANINGS[name]
    _, alert, what = name.partition("_ALERT_")
    words = (what or name).replace("_", " ").lower()
    if what in _CLIENT_REFUSES:
        return f"the client does not accept this server's certificate ({words})"
    return f"the client ended it ({words})" if alert else words
