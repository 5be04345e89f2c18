"""Targets: where a server listens, as people write it and as it is printed, and the files that TLS takes.

Parsing and printing only; connecting is the client's job.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

import msgspec

from rpcshell.client.errors import UsageError

__all__ = ["Target", "TcpTarget", "TlsFiles", "TlsTarget", "UnixTarget"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[\w.-]{1,253}")
_ZONE = re.compile(r"[\w.-]+")
_FORMS = "write host:port, port, [v6]:port, unix:/path or tls://host:port"
_LAST_PORT = 65535
# sockaddr_un.sun_path holds 108 bytes with its final NUL on Linux, 104 on macOS (unix(7)).
_LONGEST_PATH = 103


class Target(msgspec.Struct, frozen=True):
    """Where a server listens. `str(target)` is a text that `Target.parse` reads back as an equal target."""

    @staticmethod
    def parse(text: str) -> Target:
        """The target that a text names.

        Args:
            text: `host:port`, `:port` or `port` (localhost), `[v6]:port`, `unix:/path`, or a path with a slash; before
                the first three `tls://` for a server that speaks TLS.

        Raises:
            UsageError: The text is none of these.

        Example:
            >>> Target.parse("8080")
            TcpTarget(host='localhost', port=8080)
        """
        if text.startswith("unix:"):
            return _unix(text.removeprefix("unix:"), text)
        if scheme := _SCHEME.match(text):
            return _with_scheme(scheme[1].lower(), text[scheme.end() :], text)
        if "/" in text:
            return _unix(text, text)
        return TcpTarget(*_address(text, text))


class TcpTarget(Target, frozen=True):
    """A TCP address.

    Attributes:
        host: A name, an IPv4 address, or an IPv6 address without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TlsTarget(Target, frozen=True):
    """A TCP address where the server speaks TLS.

    Attributes:
        host: As in `TcpTarget`; also the name that the server's certificate has to be for.
        port: 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"tls://{self.address}"

    @property
    def address(self) -> TcpTarget:
        """The address alone."""
        return TcpTarget(self.host, self.port)


class UnixTarget(Target, frozen=True):
    """A Unix socket.

    Attributes:
        path: The absolute path of the socket file.
    """

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


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


def _with_scheme(scheme: str, rest: str, text: str) -> Target:
    if scheme != "tls":
        raise UsageError(f"{scheme}:// targets are not supported: {text!r}", hint=_FORMS)
    if "/" in rest:
        raise UsageError(f"target {text!r} has more than a host and a port", hint="write tls://host:port")
    return TlsTarget(*_address(rest, text))


def _address(address: str, text: str) -> tuple[str, int]:
    if address.startswith("["):
        return _bracketed(address, text)
    host, colon, port = address.rpartition(":")
    if not colon and not address.isdecimal():
        if not address:
            raise UsageError("an empty target" if not text else f"target {text!r} has no host and port", hint=_FORMS)
        raise UsageError(f"target {text!r} has no port", hint=_FORMS)
    if ":" in host:
        raise UsageError(f"target {text!r} has several colons", hint="put an IPv6 address in brackets: [::1]:8080")
    if host and not _HOST.fullmatch(host):
        raise UsageError(f"{host!r} is not a host name", hint=_FORMS)
    return host or "localhost", _port(port, text)


def _unix(path: str, text: str) -> UnixTarget:
    if not path or path.endswith("/") or "\0" in path:
        raise UsageError(f"target {text!r} names no socket file", hint="write unix:/path/to/socket")
    try:
        absolute = str(Path.cwd() / path)
        length = len(absolute.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"target {text!r} is not valid Unicode") from error
    except OSError as error:
        raise UsageError(f"{path!r} cannot be found from here: {error.strerror}") from error
    if length > _LONGEST_PATH:
        raise UsageError(
            f"the socket path is {length} bytes long and the system takes {_LONGEST_PATH}: {absolute!r}",
            hint="use a shorter path",
        )
    return UnixTarget(absolute)


def _bracketed(bracketed: str, text: str) -> tuple[str, int]:
    host, closed, rest = bracketed[1:].partition("]")
    if not closed or not rest.startswith(":"):
        raise UsageError(f"target {text!r} has no port after its brackets", hint="write [v6]:port, as in [::1]:8080")
    address, percent, zone = host.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        raise UsageError(f"{host!r} is not an IPv6 address", hint="write [v6]:port, as in [::1]:8080") from None
    if percent and not _ZONE.fullmatch(zone):
        raise UsageError(f"{zone!r} is not an interface name in target {text!r}")
    return host, _port(rest[1:], text)


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_LAST_PORT))):
        raise UsageError(f"{digits!r} is not a port in target {text!r}", hint=_FORMS)
    port = int(digits)
    if not 1 <= port <= _LAST_PORT:
        raise UsageError(f"port {port} is out of range in target {text!r}", hint=f"ports go from 1 to {_LAST_PORT}")
    return port
