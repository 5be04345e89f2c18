"""The header by which a proxy says for whom it connects (PROXY protocol, versions 1 and 2), read without any I/O.

https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt; where a connection may begin with one is the business of
`rpcserver.workers.proxied`.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

import msgspec

from rpcserver.system.addresses import format_host_port

SIGNATURE_1: Final = b"PROXY "
SIGNATURE_2: Final = b"\r\n\r\n\0\r\nQUIT\n"

LONGEST_LINE: Final = 107  # bytes of a header of version 1, its end included (section 2.1)

_FIXED: Final = 16
_VERSION_2: Final = 0x2
_LOCAL, _PROXY = 0x0, 0x1
_FAMILIES: Final = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}
_UNTOLD: Final = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})
_WORDS: Final = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}
_LARGEST_PORT: Final = 65535


class ProxyHeaderError(ValueError):
    """What a stream begins with is no PROXY header, or a broken one."""


class ProxyHeader(msgspec.Struct, frozen=True):
    """A whole header."""

    size: int  # its length in bytes; what follows is the client's
    source: str | None
    """The client's address, as addresses are written; None where the proxy speaks for itself (`LOCAL`), or tells none
    that is TCP's (`UNKNOWN`)."""


def may_begin_header(data: bytes | bytearray) -> bool:
    """Whether a stream that begins with these bytes may begin with a header of either version."""
    return any(
        data.startswith(signature) or signature.startswith(bytes(data)) for signature in (SIGNATURE_1, SIGNATURE_2)
    )


def is_header(data: bytes | bytearray) -> bool:
    """Whether a stream that begins with these bytes begins with a header, whole or not."""
    return data.startswith((SIGNATURE_1, SIGNATURE_2))


def read_header(data: bytes | bytearray) -> ProxyHeader | None:
    """Read the header that a stream begins with, or None where more must come first.

    At most 107 bytes of a header of version 1 are looked at, and of one of version 2 as many as it says itself, which
    are 65,551 at most.

    Raises:
        ProxyHeaderError: there is none, or it makes no sense.
    """
    if not may_begin_header(data):
        raise ProxyHeaderError("it begins with no PROXY header")
    if data.startswith(SIGNATURE_1):
        return _read_line(bytes(data[:LONGEST_LINE]))
    return _read_binary(bytes(data)) if len(data) >= _FIXED else None


def _read_line(data: bytes) -> ProxyHeader | None:
    line, end, _ = data.partition(b"\r\n")
    if not end:
        if len(data) >= LONGEST_LINE:
            raise ProxyHeaderError(f"its PROXY header does not end within {LONGEST_LINE} bytes")
        return None
    size = len(line) + len(end)
    # One blank between two fields (section 2.1), so that `split` without an argument would allow too much.
    _, kind, *rest = line.split(b" ")
    if kind == b"UNKNOWN":
        return ProxyHeader(size, None)
    if kind not in _WORDS or len(rest) != 4:
        raise ProxyHeaderError("its PROXY header is not as in PROXY TCP4 192.0.2.1 192.0.2.2 50000 8080")
    try:
        source, _ = (_address(_WORDS[kind], text) for text in rest[:2])
        port, _ = (_port(text) for text in rest[2:])
    except ValueError as error:
        raise ProxyHeaderError(f"its PROXY header names no address: {error}") from None
    return ProxyHeader(size, format_host_port(source, port))


def _address(family: socket.AddressFamily, text: bytes) -> str:
    """As headers of version 2 and getpeername(2) have it; a zone means nothing on another machine."""
    written = text.decode("ascii", "backslashreplace")
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, written))
    except (OSError, ValueError):  # the latter for a NUL
        raise ValueError(f"{written!r} is no such address") from None


def _port(text: bytes) -> int:
    if not text.isdigit() or len(text) > len(str(_LARGEST_PORT)) or int(text) > _LARGEST_PORT:
        raise ValueError(f"{text.decode('ascii', 'backslashreplace')!r} is no port")
    return int(text)


def _read_binary(data: bytes) -> ProxyHeader | None:
    version, command = data[12] >> 4, data[12] & 0xF
    if version != _VERSION_2 or command not in {_LOCAL, _PROXY}:
        raise ProxyHeaderError(f"its PROXY header has version {version} and command {command}, which are not known")
    family = data[13]
    if command == _PROXY and family not in _FAMILIES and family not in _UNTOLD:
        raise ProxyHeaderError(f"its PROXY header has an address of kind {family:#04x}, which is not known")
    size = _FIXED + int.from_bytes(data[14:16], "big")
    told = _FAMILIES.get(family) if command == _PROXY else None
    # Two addresses and two ports; what follows are extensions.
    if told is not None and size < _FIXED + 2 * told[1] + 4:
        raise ProxyHeaderError("its PROXY header is too short for the addresses that it promises")
    if len(data) < size:
        return None
    if told is None:
        return ProxyHeader(size, None)
    number, length = told
    ports = _FIXED + 2 * length
    host = socket.inet_ntop(number, data[_FIXED : _FIXED + length])
    return ProxyHeader(size, format_host_port(host, int.from_bytes(data[ports : ports + 2], "big")))


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies(msgspec.Struct, frozen=True):
    """Who may say for whom it connects."""

    networks: tuple[_Network, ...]  # the addresses of proxies on TCP
    unix: bool = False  # whether whoever connects to a Unix socket is one

    def trust(self, address: str) -> bool:
        """Whether a peer is one, by its address as `peer_address` writes it."""
        if address.startswith("unix:"):
            return self.unix
        host = address.rpartition(":")[0].strip("[]").partition("%")[0]
        try:
            found = ipaddress.ip_address(host)
        except ValueError:
            return False
        # A socket of systemd's may take both kinds.
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return any((mapped or found) in network for network in self.networks)


def parse_trusted(text: str) -> TrustedProxies:
    """Read whose PROXY headers are taken: addresses, networks and `unix`, with commas between them.

    Raises:
        ValueError: one of them is none.
    """
    networks: list[_Network] = []
    unix = False
    for word in (part.strip() for part in text.split(",")):
        if word == "unix":
            unix = True
            continue
        try:
            networks.append(ipaddress.ip_network(word))
        except ValueError as error:
            raise ValueError(f"{error}: write addresses or networks, as in 10.0.0.7,10.1.0.0/16, or unix") from None
    return TrustedProxies(tuple(networks), unix)
