"""Targets: where a server is and what it speaks, as people write it and as it is printed, and the files that TLS takes.

Parsing and printing only; connecting is the client's job.
"""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = [
    "ChildTarget",
    "HttpTarget",
    "Target",
    "TcpTarget",
    "TlsFiles",
    "TlsTarget",
    "UnixTarget",
    "is_dialect_name",
    "names_dialect",
    "names_native",
]

_SPOKEN = re.compile(r"([a-z][a-z0-9_]*)(?:\+[a-z0-9-]+)?")
_DIALECT = re.compile(rf"{_SPOKEN.pattern}:(?!//)")
_KINDS = ("unix", "exec")
_NOT_DIALECTS = (*_KINDS, "tcp", "tls", "http", "https", "localhost")
_LISTENER = re.compile(r"([a-z0-9-]+)\+(?:tcp://(?=.)|(?=unix:|tls://))")
_NATIVE = "native"
_NATIVE_FRAMING = "u32le"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_KIND = re.compile(rf"unix:|exec:|{_SCHEME.pattern}")
_HOST = re.compile(r"[\w.-]{1,253}")
_ZONE = re.compile(r"[\w.-]+")
_FORMS = "write host:port, port, [v6]:port, unix:/path, tls://host:port or exec:COMMAND, after DIALECT: if it has one"
_LAST_PORT = 65535
# sockaddr_un.sun_path holds 108 bytes with its final NUL on Linux, 104 on macOS (unix(7)).
_LONGEST_PATH = 103
# Abstract names are Linux's alone, and the NUL is their first byte.
_LONGEST_NAME = 108


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server is. `str(target)` is a text that `Target.parse` reads back as an equal target.

    Attributes:
        dialect: What it speaks, with the framing where that is not the dialect's usual one (`jsonrpc+line`); the
            native protocol if empty.
    """

    dialect: str = ""

    @property
    def prefix(self) -> str:
        """What stands before the address."""
        return f"{self.dialect}:" if self.dialect else ""

    @staticmethod
    def parse(text: str, dialects: Container[str] = ()) -> Target:
        """The target that a text names.

        Args:
            text: `host:port`, `:port` or `port` (localhost), `[v6]:port`, `unix:/path`, `unix:@name` (abstract), or a
                path with a slash; before the first three `tls://` for a server that speaks TLS, or `tcp://`.
                `exec:COMMAND ARG` is a child that is talked to over its standard input and output, `http://...` or
                `https://...` a server of JSON over HTTP. Before any of them a dialect, as in `qmp:unix:/path` or
                `jsonrpc+line:host:port`. An address as rpcserver writes it, such as `line+tcp://host:port`, is one of
                JSON-RPC.
            dialects: Names of dialects beside those that the registry knows.

        Raises:
            UsageError: The text is none of these.

        Example:
            >>> Target.parse("8080")
            TcpTarget(host='localhost', port=8080, dialect='')
        """
        listener = _LISTENER.match(text)
        if listener is not None and _is_framing(listener[1]):
            spoken = "" if listener[1] == _NATIVE_FRAMING else f"jsonrpc+{listener[1]}"
            return msgspec.structs.replace(_place(text[listener.end() :], text, spoken), dialect=spoken)
        found = _DIALECT.match(text)
        known = found is not None and (found[1] in dialects or _names_dialect(found[1], text[found.end() :]))
        if found is None or found[1] in _KINDS or not known:
            if found is not None and found[1] not in _KINDS and _KIND.match(text, found.end()):
                raise _unknown_dialect(found[1])
            return _place(text, text, "")
        spoken = found[0][:-1]
        place = _place(text[found.end() :], text, spoken)
        return msgspec.structs.replace(place, dialect="" if spoken == _NATIVE else spoken)


class TcpTarget(Target, frozen=True):
    """A TCP address.

    Attributes:
        host: A name, an IPv4 address, or an IPv6 address without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        # A host may be called as what stands before an address is.
        taken = host in _KINDS or (not self.dialect and host.isalnum() and _names_dialect(host, str(self.port)))
        return f"{self.prefix}{'tcp://' if taken else ''}{host}:{self.port}"


class TlsTarget(Target, frozen=True):
    """A TCP address where the server speaks TLS.

    Attributes:
        host: As in `TcpTarget`; also the name that the server's certificate has to be for.
        port: 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.prefix}tls://{self.address}"

    @property
    def address(self) -> TcpTarget:
        """The address alone."""
        return TcpTarget(self.host, self.port)


class UnixTarget(Target, frozen=True):
    """A Unix socket.

    Attributes:
        path: The absolute path of the socket file, or `@` and an abstract name (unix(7)).
    """

    path: str

    def __str__(self) -> str:
        return f"{self.prefix}unix:{self.path}"

    @property
    def abstract(self) -> bool:
        """Whether it has a name and no file."""
        return self.path.startswith("@")

    @property
    def name(self) -> str:
        """What connect(2) takes."""
        return f"\0{self.path[1:]}" if self.abstract else self.path


class ChildTarget(Target, frozen=True):
    """A server that is started for the connection, and talked to over its standard input and output.

    Attributes:
        argv: The program and its arguments, as they are.
        env: What is added to the environment. It may be secret, and is not printed.
        cwd: The folder that it is started in, or None for this one.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None

    def __str__(self) -> str:
        import shlex

        return f"{self.prefix}exec:{shlex.join(self.argv)}"

    def __repr__(self) -> str:
        return f"ChildTarget(argv={self.argv!r}, dialect={self.dialect!r})"


class HttpTarget(Target, frozen=True):
    """A URL to which messages are posted.

    Attributes:
        url: With its scheme, http or https.
        headers: What goes with every request. It may be secret, and is not printed.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.prefix}{self.url}"

    def __repr__(self) -> str:
        return f"HttpTarget(url={self.url!r}, dialect={self.dialect!r})"

    @property
    def address(self) -> TcpTarget | TlsTarget:
        """The address of the host."""
        from urllib.parse import urlsplit

        parts = urlsplit(self.url)
        kind, usual = (TlsTarget, 443) if parts.scheme == "https" else (TcpTarget, 80)
        return kind(parts.hostname or "", parts.port or usual)


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


def names_dialect(text: str) -> bool:
    """Whether a text is a dialect, with or without a framing, and no place: what stands before a child's command."""
    found = _SPOKEN.fullmatch(text)
    return found is not None and _names_dialect(found[1], "")


def is_dialect_name(name: str) -> bool:
    """Whether a dialect may be called so: nothing else that stands before an address is."""
    found = _SPOKEN.fullmatch(name)
    return found is not None and found[1] == name and name not in _NOT_DIALECTS


def names_native(text: str) -> bool:
    """Whether the text of a target says that the native protocol is spoken there, which a `Target` does not show."""
    return text.startswith((f"{_NATIVE}:", f"{_NATIVE_FRAMING}+"))


def _is_framing(name: str) -> bool:
    # A call in the native protocol needs none but its own.
    from rpcwire.framings import FRAMINGS

    return name in FRAMINGS


def _names_dialect(name: str, rest: str) -> bool:
    """Whether what stands before a colon names a dialect; what stands before a port alone is first of all a host."""
    from rpcshell.client.dialects.registry import is_dialect

    return is_dialect(name, other_packages=not rest.isdecimal())


def _unknown_dialect(name: str) -> UsageError:
    from rpcshell.client.dialects.registry import unknown_dialect

    return unknown_dialect(name)


def _place(place: str, text: str, dialect: str) -> Target:
    """The target at a place, which is the text without its dialect."""
    if place.startswith("unix:"):
        return _unix(place.removeprefix("unix:"), text)
    if place.startswith("exec:"):
        return _child(place.removeprefix("exec:"), text)
    if scheme := _SCHEME.match(place):
        return _with_scheme(scheme[1].lower(), place, text)
    if "/" in place:
        return _unix(place, text)
    return TcpTarget(*_address(place, text))


def _child(command: str, text: str) -> ChildTarget:
    import shlex

    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"the command in target {text!r} does not parse: {error}") from error
    if not argv or "\0" in command:
        raise UsageError(f"target {text!r} names no command", hint="write exec:COMMAND ARG ...")
    return ChildTarget(argv)


def _with_scheme(scheme: str, place: str, text: str) -> Target:
    rest = place[len(scheme) + len("://") :]
    if scheme in ("http", "https"):
        return _http(place)
    _refuse_user(rest)
    if scheme not in ("tls", "tcp"):
        raise UsageError(f"{scheme}:// targets are not supported: {text!r}", hint=_FORMS)
    if "/" in rest:
        raise UsageError(f"target {text!r} has more than a host and a port", hint=f"write {scheme}://host:port")
    return (TlsTarget if scheme == "tls" else TcpTarget)(*_address(rest, text))


def _http(text: str) -> HttpTarget:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is no URL: {error}") from error
    if not parts.hostname or port == 0 or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"{text!r} is no URL of a server", hint="write http://host:port/path")
    if parts.username is not None:
        raise UsageError("a URL with a user and a password would be shown and remembered", hint="use a header")
    return HttpTarget(text)


def _refuse_user(address: str) -> None:
    """Refuse what may have a password in it, without repeating it."""
    if "@" in address:
        raise UsageError("a target takes no user and no password", hint=_FORMS)


def _address(address: str, text: str) -> tuple[str, int]:
    _refuse_user(address)
    if address.startswith("["):
        return _bracketed(address, text)
    host, colon, port = address.rpartition(":")
    if not colon and not address.isdecimal():
        if not address:
            raise UsageError("an empty target" if not text else f"target {text!r} has no host and port", hint=_FORMS)
        if names_dialect(address):
            raise UsageError(f"{text!r} is a dialect, and no target", hint=f"write {text}:ADDRESS or {text} -- COMMAND")
        raise UsageError(f"target {text!r} has no port", hint=_FORMS)
    if ":" in host:
        raise UsageError(f"target {text!r} has several colons", hint="put an IPv6 address in brackets: [::1]:8080")
    if host and not _HOST.fullmatch(host):
        raise UsageError(f"{host!r} is not a host name", hint=_FORMS)
    return host or "localhost", _port(port, text)


def _unix(path: str, text: str) -> UnixTarget:
    abstract = path.startswith("@")
    if path in {"", "@"} or "\0" in path or (path.endswith("/") and not abstract):
        raise UsageError(f"target {text!r} names no socket", hint="write unix:/path/to/socket or unix:@name")
    if abstract and sys.platform != "linux":
        raise UsageError(f"abstract sockets are Linux's: {text!r}", hint="write unix:./@name for a file of that name")
    try:
        absolute = path if abstract else str(Path.cwd() / path)
        length = len(absolute.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"target {text!r} is not valid Unicode") from error
    except OSError as error:
        raise UsageError(f"{path!r} cannot be found from here: {error.strerror}") from error
    longest = _LONGEST_NAME if abstract else _LONGEST_PATH
    if length > longest:
        raise UsageError(
            f"the socket path is {length} bytes long and the system takes {longest}: {absolute!r}",
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
