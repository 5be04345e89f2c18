"""The servers of a service, as ZooKeeper keeps them: where its serverset is, and what a member of it says of itself.

A serverset is a path whose children are ephemeral nodes, one a server, in the format of Finagle, which Prometheus's
serverset discovery reads too. What only our own clients look at stands beside, in the member `rpc`. Others may write
to the same path: what is read here is checked, and a newer server's unknown members are ignored.

https://github.com/twitter/finagle/tree/develop/finagle-serversets
https://prometheus.io/docs/prometheus/latest/configuration/configuration/#serverset_sd_config
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

import msgspec

from rpcwire.errors import EncodeError, InvalidMember
from rpcwire.framings import FRAMINGS
from rpcwire.json_errors import READ_ERRORS

MAX_MEMBER: Final = 16 * 1024
"""The most bytes that a member's node may have; ZooKeeper itself takes up to 1 MiB."""

_MEMBER_PREFIX: Final = "member_"
"""What the names of members begin with; Finagle looks at no others."""

METRICS: Final = "metrics"
"""The name of the additional endpoint at which a server has metrics for Prometheus, at the path `/metrics`."""

_DEFAULT_PORT: Final = 2181
"""The port of a ZooKeeper server where the address names none."""

_ALIVE: Final = "ALIVE"
_HOST: Final = re.compile(r"[\w.-]{1,253}", re.ASCII)
_ZONE: Final = re.compile(r"[\w.-]{1,32}", re.ASCII)
_SCHEMES: Final = {"zk": False, "zks": True}
# What ZooKeeper's PathUtils.validatePath refuses, and what would have a meaning in a URL.
_NOT_IN_PATHS: Final = re.compile(r"[\0-\x20\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff?#@]")
_LONGEST_PATH: Final = 1024
_MOST_SERVERS: Final = 32
_FORM: Final = "write zk://HOST:PORT,HOST:PORT/path, as in zk://10.0.0.1:2181,10.0.0.2:2181/services/calc"

_Text = Annotated[str, msgspec.Meta(max_length=256)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_PortNumber = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Endpoint(msgspec.Struct, frozen=True):
    """A TCP address: a name, an IPv4 address, or an IPv6 address without brackets."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    port: _PortNumber

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Instance(msgspec.Struct, frozen=True):
    """What a server tells the clients of a fleet, beside its address. It has nothing that changes with load."""

    v: _Count = 1
    """The version of this structure; a higher one has more members, and those there are keep their meaning."""
    address: Annotated[str, msgspec.Meta(max_length=400)] = ""
    """The address as targets are written, with TLS and a framing other than the usual: `line+tls://host:port`."""
    tls: bool = False
    model: _Text = ""
    """The worker model."""
    workers: _Count = 0
    """How many there shall be; 0 where that is not told. A server of model sync serves no more connections at once."""
    weight: _Count = 1
    """Its share of the calls, in proportion to the others'."""
    generation: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many times it was reloaded."""
    service: _Text = ""
    """The service's name."""
    version: _Text = ""
    """The service's version."""
    openrpc: _Text = ""
    """A digest of the document that describes its methods: where two differ, so may the documents."""
    close: bool = False
    """Whether it announces the end of a connection, so that what had no reply before surely did not run."""


class Member(msgspec.Struct, frozen=True, rename="camel"):
    """The content of a member's node. What writes no `rpc` is a server of another make."""

    service_endpoint: Endpoint
    additional_endpoints: dict[str, Endpoint] = {}
    status: _Text = _ALIVE
    shard: int | None = 0
    rpc: Instance = Instance()

    @property
    def alive(self) -> bool:
        """Whether it shall get calls; another status than ALIVE says that it starts, stops or is ill."""
        return self.status == _ALIVE

    @property
    def address(self) -> str:
        """Where it serves, as targets are written; a host may be called as what else stands before a colon there is."""
        said = self.rpc.address
        return said if "://" in said else f"{_scheme(self.rpc)}{self.service_endpoint}"


_decoder: Final = msgspec.json.Decoder(Member)


def encode_member(member: Member) -> bytes:
    """Write a member.

    Raises:
        EncodeError: it would be refused when it is read.
    """
    try:
        data = msgspec.json.encode(member)
        decode_member(data)
    except (InvalidMember, UnicodeEncodeError) as error:
        raise EncodeError(str(error)) from None
    return data


def decode_member(data: bytes) -> Member:
    """Read a member.

    Raises:
        InvalidMember: it is none, too long, or says two different things about where it is.
    """
    if len(data) > MAX_MEMBER:
        raise InvalidMember(f"{len(data)} bytes are no member: it has {MAX_MEMBER} at most")
    try:
        member = _decoder.decode(data)
    except READ_ERRORS as error:
        raise InvalidMember(f"no member of a serverset: {error}") from None
    endpoint = member.service_endpoint
    if not is_host(endpoint.host):
        raise InvalidMember(f"{endpoint.host!r} is no host")
    if member.rpc.address and not _leads_to(member.rpc, endpoint):
        raise InvalidMember(f"{member.rpc.address!r} is not how {endpoint} is written")
    return member


def member_name(endpoint: Endpoint) -> str:
    """The name of the node of the server with an address; two servers never share one."""
    return f"{_MEMBER_PREFIX}{endpoint}"


def is_member_name(name: str) -> bool:
    """Whether a child of the path may be a member; locks and notes of others are not."""
    return name.startswith(_MEMBER_PREFIX)


class ServersetAddress(msgspec.Struct, frozen=True):
    """Where a serverset is: the servers of a ZooKeeper ensemble, and a path in it."""

    servers: tuple[Endpoint, ...]
    """The ensemble's; a client connects to any of them."""
    path: str
    """It begins with a slash."""
    tls: bool = False
    """Whether the servers speak TLS."""

    def __str__(self) -> str:
        return f"{'zks' if self.tls else 'zk'}://{self.hosts}{self.path}"

    @property
    def hosts(self) -> str:
        """The servers as ZooKeeper's clients take them: `h1:2181,[::1]:2181`."""
        return ",".join(map(str, self.servers))

    @classmethod
    def parse(cls, text: str) -> ServersetAddress:
        """Read `zk://HOST[:PORT],HOST[:PORT]/PATH`, or the same with `zks://` for TLS.

        A path is taken as it is; nothing in it is unquoted.

        Raises:
            ValueError: it is no such address; the message says what would be, and holds no password.
        """
        scheme, separator, rest = text.partition("://")
        hosts, slash, path = rest.partition("/")
        if "@" in rest:
            raise ValueError("the address of a registry takes no user and no password: keep them in a file")
        if not separator or scheme not in _SCHEMES or not hosts:
            raise ValueError(f"{text!r} is no address of a registry: {_FORM}")
        path = slash + path.removesuffix("/")
        if (problem := _problem_of(path)) is not None:
            raise ValueError(f"{text!r} {problem}: {_FORM}")
        servers = tuple(_server(part, text) for part in hosts.split(","))
        if len(servers) > _MOST_SERVERS:
            raise ValueError(f"{len(servers)} ZooKeeper servers are too many: name {_MOST_SERVERS} at most")
        return cls(servers, path, _SCHEMES[scheme])


def _problem_of(path: str) -> str | None:
    """Say what is wrong with a path, or None."""
    parts = path.split("/")[1:]
    if not any(parts):
        return "has no path"
    if "" in parts or "." in parts or ".." in parts:
        return "has an empty part, a . or a .. in its path"
    if parts[0] == "zookeeper":
        return "has a path that is ZooKeeper's own"
    if len(path) > _LONGEST_PATH:
        return f"has a path of over {_LONGEST_PATH} characters"
    if found := _NOT_IN_PATHS.search(path):
        return f"has {found[0]!r} in its path"
    return None


def _server(part: str, text: str) -> Endpoint:
    """Read a server of the ensemble."""
    if part.startswith("["):
        host, bracket, port = part[1:].partition("]")
        good = bool(bracket) and ":" in host and port[:1] in {"", ":"} and port != ":"
        port = port[1:]
    else:
        host, colon, port = part.partition(":")
        good = not colon or bool(port)
    if not good or not is_host(host) or not re.fullmatch(r"[0-9]{0,5}", port):
        raise ValueError(f"{part!r} in {text!r} is no server: {_FORM}")
    number = int(port or _DEFAULT_PORT)
    if not 1 <= number <= 65535:
        raise ValueError(f"port {number} in {text!r} is out of range: there are 1 to 65535")
    return Endpoint(host, number)


def is_host(text: str) -> bool:
    """Whether a text is a name, an IPv4 address, or an IPv6 address without brackets, with its zone or without."""
    if ":" not in text:
        return _HOST.fullmatch(text) is not None
    address, percent, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not percent or _ZONE.fullmatch(zone) is not None


def _leads_to(instance: Instance, endpoint: Endpoint) -> bool:
    """Whether an instance's address is that of an endpoint; a target may also be a program to run, and a file."""
    scheme = _scheme(instance)
    forms = ("" if not instance.tls else scheme, scheme, *(f"{framing}+{scheme}" for framing in FRAMINGS))
    return instance.address in {f"{form}{endpoint}" for form in forms}


def _scheme(instance: Instance) -> str:
    return "tls://" if instance.tls else "tcp://"
