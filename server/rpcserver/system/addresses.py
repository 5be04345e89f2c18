"""Addresses: what `--bind` means, and how both ends of a connection are written."""

from __future__ import annotations

import os
import re
import socket
import struct
from typing import Final

import msgspec

from rpcserver.system.errors import ServerError
from rpcwire.framings import FRAMINGS
from rpcwire.socket_names import meant_name, written_name

NATIVE: Final = "u32le"  # the framing of the protocol, which addresses do not name
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what a socket that listens everywhere is called

_FRAMED: Final = re.compile(r"([a-z0-9-]+)\+(tcp://|unix:)(.*)", re.DOTALL)
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


class BindError(ServerError):
    """An address cannot be listened on."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address  # as it was asked for
        self.reason = reason  # why not, and what to do about it

    def __str__(self) -> str:
        return f"cannot listen on {self.address}: {self.reason}"


class TcpBind(msgspec.Struct, frozen=True):
    """A TCP address to listen on; port 0 lets the kernel choose a free one."""

    host: str
    port: int
    framing: str = NATIVE

    def __str__(self) -> str:
        return with_framing(format_host_port(self.host, self.port), self.framing)


class UnixBind(msgspec.Struct, frozen=True):
    """A path to listen on with a Unix socket, or `@` and an abstract name; a file of such a name is `./@name`.

    It is as `os.fsdecode` has it; `str` writes it as UTF-8 can, and `parse_bind` reads that.
    """

    path: str
    framing: str = NATIVE

    def __str__(self) -> str:
        return with_framing(f"unix:{written_name(self.path)}", self.framing)

    @property
    def abstract(self) -> bool:
        """Whether it is a name without a file (unix(7)), which is gone with the last socket that has it."""
        return self.path.startswith("@")

    @property
    def name(self) -> str:
        """What bind(2) and connect(2) take."""
        return f"\0{self.path[1:]}" if self.abstract else self.path

    @classmethod
    def of_name(cls, name: str | bytes) -> UnixBind:
        """The one that getsockname(2) tells of."""
        text = os.fsdecode(name)
        if text.startswith("\0"):
            return cls(f"@{text[1:]}")
        return cls(f"./{text}" if text.startswith("@") else text)


Bind = TcpBind | UnixBind


def parse_bind(text: str) -> Bind:
    """Read an address: `HOST:PORT`, `[IPV6]:PORT`, `unix:PATH` or `unix:@NAME`.

    With a framing, it is written as in `line+tcp://HOST:PORT`.

    Raises:
        ValueError: it is none of them; the message says what would be.
    """
    if found := _FRAMED.match(text):
        framing, kind, rest = found.groups()
        if framing not in FRAMINGS:
            raise ValueError(f"{framing!r} is no framing: there are {', '.join(FRAMINGS)}")
        return msgspec.structs.replace(parse_bind(rest if kind == "tcp://" else kind + rest), framing=framing)
    if text.startswith("unix:"):
        path = meant_name(text.removeprefix("unix:"))
        if not path or "\0" in path:
            raise ValueError("a Unix socket needs a path, as in unix:/run/user/1000/calc.sock")
        if path == "@":
            raise ValueError("an abstract Unix socket needs a name, as in unix:@calc")
        return UnixBind(path)
    host, colon, port_text = text.rpartition(":")
    if not colon or not (port_text.isascii() and port_text.isdigit()) or int(port_text) > 65535:
        raise ValueError(f"{text!r} is no address: write HOST:PORT, [IPV6]:PORT, unix:PATH or unix:@NAME")
    if not host:
        raise ValueError(f"{text!r} has no host: write 127.0.0.1{text} for this machine only, 0.0.0.0{text} for all")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r} is ambiguous: write an IPv6 address in brackets, as in [::1]:8080")
    return TcpBind(host, int(port_text))


def with_framing(address: str, framing: str) -> str:
    """Put the framing before an address, as `parse_bind` reads it, where it is not the protocol's own."""
    if framing == NATIVE:
        return address
    return f"{framing}+{address}" if address.startswith(("unix:", "tls://")) else f"{framing}+tcp://{address}"


def format_host_port(host: str, port: int) -> str:
    """Write a TCP address as targets are written, with brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_wildcard(host: str) -> bool:
    """Whether a host is every address of this machine: one to listen on, and none to connect to."""
    return host in WILDCARDS


def peer_process(connection: socket.socket) -> tuple[int, int]:
    """Say which process, and which user's, has connected to a Unix socket: unix(7), SO_PEERCRED.

    Raises:
        OSError: the system does not tell.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _group = _CREDENTIALS.unpack(credentials)
    return pid, user


def peer_address(connection: socket.socket) -> str:
    """Say who is at the other end: `host:port`, or the process at the other end of a Unix socket.

    Raises:
        OSError: the peer has gone already.
    """
    if connection.family == socket.AF_UNIX:
        pid, uid = peer_process(connection)
        return f"unix:pid={pid},uid={uid}"
    host, port = connection.getpeername()[:2]
    return format_host_port(host, port)
