"""Targets: where servers are and what they speak, as people write and read it, and the files that TLS takes.

Parsing and printing only; connecting is the client's job.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec
from msgspec.structs import replace

from rpcshell.client.addresses import (
    FORMS,
    checked_path,
    checked_url,
    command_words,
    host_and_port,
    name_of_socket,
    path_of_socket,
    refuse_user,
    service_name,
    socket_path,
    url_parts,
)
from rpcshell.client.dialect_names import (
    KINDS,
    NATIVE,
    NATIVE_FRAMING,
    SPOKEN,
    names_dialect,
    stands_for_dialect,
    unknown_dialect,
)
from rpcshell.client.errors import UsageError

_DIALECT = re.compile(rf"{SPOKEN.pattern}:(?!//)")
_LISTENER = re.compile(r"([a-z0-9-]+)\+(?:tcp://(?=.)|(?=unix:|tls://))")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_KIND = rf"unix:|exec:|{_SCHEME.pattern}"


class Target(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
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
    def parse(text: str, dialects: Collection[str] = ()) -> Target:
        """The target that a text names.

        Args:
            text: `host:port`, `:port` or `port` (localhost), `[v6]:port`, `unix:/path`, `unix:@name` (abstract), or a
                path with a slash; before the first three `tls://` for a server that speaks TLS, or `tcp://`.
                `exec:COMMAND ARG` is a child that is talked to over its standard input and output, `http://...` or
                `https://...` a server of JSON over HTTP. Before any of them a dialect, as in `qmp:unix:/path` or
                `jsonrpc+line:host:port`. An address as rpcserver writes it, such as `line+tcp://host:port`, is one of
                JSON-RPC. Several servers of one service are `host:port,host:port`, `zk://host,host/path` (ZooKeeper),
                `srv://_service._tcp.name` or `dns://name:port`.
            dialects: Names of dialects beside those that the registry knows, such as those of a configuration.

        Raises:
            UsageError: The text is none of these.

        Example:
            >>> Target.parse("8080")
            TcpTarget(host='localhost', port=8080)
        """
        if (listener := _LISTENER.match(text)) is not None:
            # A call in the native protocol needs no framing but its own.
            from rpcwire.framings import FRAMINGS

            if listener[1] in FRAMINGS:
                spoken = "" if listener[1] == NATIVE_FRAMING else f"jsonrpc+{listener[1]}"
                return _speaking(spoken, _place(text[listener.end() :], text, dialects))
        found = _DIALECT.match(text)
        known = found is not None and stands_for_dialect(found[1], text[found.end() :], dialects)
        if found is None or found[1] in KINDS or not known:
            if found is not None and found[1] not in KINDS and re.match(_KIND, text[found.end() :]):
                raise unknown_dialect(found[1], dialects)
            if names_dialect(text, dialects):
                hint = f"write {text}:ADDRESS or {text} -- COMMAND"
                raise UsageError(f"{text!r} is a dialect, and no target", hint=hint)
            return _place(text, text, dialects)
        spoken = found[0][:-1]
        return _speaking("" if spoken == NATIVE else spoken, _place(text[found.end() :], text, dialects))


class TcpTarget(Target, frozen=True):
    """A TCP address.

    Attributes:
        host: A name, an IPv4 address, or an IPv6 address without brackets.
        port: 1 to 65535.
        with_scheme: Whether its text begins with `tcp://`, as its host is called like a dialect of the configuration.
    """

    host: str
    port: int
    with_scheme: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        # A host may be called as what stands before an address is.
        taken = host in KINDS
        if not self.dialect and not taken:
            taken = self.with_scheme or (host.isalnum() and stands_for_dialect(host, str(self.port)))
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
        path: The absolute path of the socket file, or `@` and an abstract name (unix(7)). A byte of it that is no UTF-8
            is written as in `\\udce9`.
    """

    path: str

    @classmethod
    def at(cls, path: str) -> UnixTarget:
        """The one of an absolute path that is known, as the system tells it or as it is written."""
        return cls(path_of_socket(path))

    def __str__(self) -> str:
        return f"{self.prefix}unix:{self.path}"

    @property
    def abstract(self) -> bool:
        """Whether it has a name and no file."""
        return self.path.startswith("@")

    @property
    def name(self) -> str:
        """What connect(2) takes."""
        name = name_of_socket(self.path)
        return f"\0{name[1:]}" if self.abstract else name


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
        parts = url_parts(self.url)
        kind, usual = (TlsTarget, 443) if parts.scheme == "https" else (TcpTarget, 80)
        return kind(parts.hostname or "", parts.port or usual)


class FleetTarget(Target, frozen=True):
    """Several servers of one service, which all can do the same."""


_NAMED = 8
"""Servers that are named in a sentence."""


class ListTarget(FleetTarget, frozen=True):
    """Servers that are named one by one.

    Attributes:
        targets: Two or more, all different.
    """

    targets: tuple[TcpTarget | TlsTarget, ...]

    def __str__(self) -> str:
        # What the first one says holds for those that say nothing.
        plain = "tcp://" if isinstance(self.targets[0], TlsTarget) else ""
        return ",".join(text if "://" in (text := str(one)) else f"{plain}{text}" for one in self.targets)

    @property
    def brief(self) -> str:
        """It in a sentence: all of its servers, or the first ones of many."""
        first, more = ListTarget(self.targets[:_NAMED]), len(self.targets) - _NAMED
        return str(self) if more <= 0 else f"{first} and {more} more"


class ServersetTarget(FleetTarget, frozen=True):
    """The servers that are registered under a path in ZooKeeper.

    Attributes:
        url: The ZooKeeper servers and the path, as `rpcwire.serverset.ServersetAddress` prints them.
        credentials: A TOML file with the `user` and `password` that ZooKeeper lets read there, or None.
    """

    url: str
    credentials: str | None = None

    def __str__(self) -> str:
        return self.url


class SrvTarget(FleetTarget, frozen=True):
    """The servers of a service in the DNS (RFC 2782).

    Attributes:
        name: `_service._tcp.domain`.
        tls: Whether they speak TLS, with certificates for the names of their hosts.
    """

    name: str
    tls: bool = False

    def __str__(self) -> str:
        return f"srv{'+tls' if self.tls else ''}://{self.name}"


class DnsTarget(FleetTarget, frozen=True):
    """The servers at all addresses of a name, such as a headless service of Kubernetes.

    Attributes:
        host: The name.
        port: The port of each of them, 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"dns://{self.host}:{self.port}"


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


def _speaking(dialect: str, place: Target) -> Target:
    if dialect and isinstance(place, FleetTarget):
        reason = f"a fleet is called in the native protocol, not in {dialect}, where events belong to one connection"
        raise UsageError(reason, hint="name one of its servers")
    return replace(place, dialect=dialect)


def _place(place: str, text: str, dialects: Collection[str]) -> Target:
    """The target at a place, which is the text without its dialect."""
    if place.startswith("unix:"):
        return UnixTarget(socket_path(place.removeprefix("unix:"), text))
    if place.startswith("exec:"):
        return ChildTarget(command_words(place.removeprefix("exec:"), text))
    scheme = _SCHEME.match(place)
    if "," in place and _is_list(place, scheme):
        return _list(place, text, dialects)
    if scheme:
        return _with_scheme(scheme[1].lower(), place, text, dialects)
    if "/" in place:
        return UnixTarget(socket_path(checked_path(place), text))
    return _tcp(place, text, dialects)


def _tcp(address: str, text: str, dialects: Collection[str]) -> TcpTarget:
    host, port = host_and_port(address, text)
    return TcpTarget(host, port, host in dialects)


def _with_scheme(scheme: str, place: str, text: str, dialects: Collection[str]) -> Target:
    rest = place[len(scheme) + len("://") :]
    if scheme in ("http", "https"):
        return HttpTarget(checked_url(place))
    refuse_user(rest)
    if scheme in ("zk", "zks"):
        from rpcwire.serverset import ServersetAddress

        try:
            return ServersetTarget(str(ServersetAddress.parse(f"{scheme}://{rest}")))
        except ValueError as error:
            raise UsageError(str(error)) from None
    if scheme in ("srv", "srv+tls"):
        return SrvTarget(service_name(rest, text), tls=scheme == "srv+tls")
    if scheme == "dns":
        return DnsTarget(*host_and_port(rest, text))
    if scheme not in ("tls", "tcp"):
        raise UsageError(f"{scheme}:// targets are not supported: {text!r}", hint=FORMS)
    if "/" in rest:
        raise UsageError(f"target {text!r} has more than a host and a port", hint=f"write {scheme}://host:port")
    return TlsTarget(*host_and_port(rest, text)) if scheme == "tls" else _tcp(rest, text, dialects)


def _is_list(place: str, scheme: re.Match[str] | None) -> bool:
    if scheme is not None:
        return scheme[1].lower() in ("tcp", "tls")
    # In the path of a socket a comma is one.
    return "/" not in place or (("://" in place or ",unix:" in place) and "/" not in place.partition(",")[0])


def _list(place: str, text: str, dialects: Collection[str]) -> Target:
    """What is said of the first one before its address holds for those that say nothing."""
    refuse_user(place)
    parts = place.split(",")
    scheme = _SCHEME.match(parts[0])
    said = scheme[0] if scheme else ""
    found: dict[TcpTarget | TlsTarget, None] = {}
    for part in parts:
        if not part.strip():
            raise UsageError(f"target {text!r} has a comma with no server beside it", hint="write host:port,host:port")
        target = _place(part if re.match(_KIND, part) else f"{said}{part}", text, dialects)
        if not isinstance(target, TcpTarget | TlsTarget):
            raise UsageError(f"{part!r} in target {text!r} is no server of a fleet", hint="write host:port,host:port")
        found[target] = None
    targets = tuple(found)
    return targets[0] if len(targets) == 1 else ListTarget(targets)


def as_target(target: str | tuple[str, int] | Target) -> Target:
    """The target that a text, a (host, port) pair or a target names.

    Raises:
        UsageError: The text makes no sense.
    """
    if isinstance(target, str):
        return Target.parse(target)
    return TcpTarget(*target) if isinstance(target, tuple) else target
