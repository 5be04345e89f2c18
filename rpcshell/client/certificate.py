"""Why a server's certificate was refused: which one it is, and what is wrong with it, in words.

The decision is OpenSSL's; nothing here makes a connection trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

__all__ = ["Certificate", "presented_certificate", "why_refused"]

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


class Certificate(msgspec.Struct, frozen=True):
    """What a certificate says about itself.

    Attributes:
        subject: Whose it is: the common name, or the first of its names.
        issuer: Who signed it.
        names: The host names and addresses that it is for.
        begins: When it begins to be valid, as OpenSSL writes it.
        ends: When that ends.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: str
    ends: str


def presented_certificate(dial: Callable[[], socket.socket], host: str) -> Certificate | None:
    """What a server shows of itself, whoever signed it. Nothing is sent to it but the handshake.

    Args:
        dial: Makes a socket that is connected to it, with a time limit of its own.
        host: The name to ask for.
    """
    import ssl

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


def why_refused(error: ssl.SSLCertVerificationError, host: str, found: Certificate | None) -> tuple[str, str | None]:
    """The reason for a refusal, and what can be done about it.

    Args:
        error: What OpenSSL says.
        host: The name that the certificate has to be for.
        found: The certificate, where it could be looked at.
    """
    which = "the server's certificate"
    if found is not None:
        which += f" (of {found.subject}, issued by {found.issuer})"
    code = error.verify_code
    if code in _OTHER_HOST:
        names = _listed(found.names) if found is not None else ""
        return f"{which} is not for {host}{f', but for {names}' if names else ''}", "connect by a name that it is for"
    if code == _EXPIRED:
        when = f" on {found.ends}" if found is not None and _is_over(found.ends) else ""
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


def _is_over(when: str) -> bool:
    import ssl
    import time

    return ssl.cert_time_to_seconds(when) < time.time()


def _read(decoded: Any) -> Certificate:
    names = tuple(str(name) for _, name in decoded.get("subjectAltName", ()))
    subject = _common_name(decoded.get("subject", ())) or next(iter(names), "nobody")
    issuer = _common_name(decoded.get("issuer", ())) or "nobody"
    return Certificate(subject, issuer, names, decoded.get("notBefore", ""), decoded.get("notAfter", ""))


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
