"""PROXY headers of both versions, whole and in pieces, right and wrong; and whose are taken."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcserver.system.proxy_protocol import (
    LONGEST_LINE,
    SIGNATURE_1,
    SIGNATURE_2,
    ProxyHeader,
    ProxyHeaderError,
    is_header,
    may_begin_header,
    parse_trusted,
    read_header,
)

PORTS: Final = st.integers(0, 65535)
V4 = ("192.0.2.1", "192.0.2.2")
V6 = ("2001:db8::1", "2001:db8::2")


def line(source: str, target: str, port: int = 50000) -> bytes:
    return f"PROXY TCP{ipaddress.ip_address(source).version} {source} {target} {port} 8080\r\n".encode()


def binary(source: str, target: str, port: int = 50000, extensions: bytes = b"", command: int = 0x21) -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    rest = addresses + port.to_bytes(2, "big") + (8080).to_bytes(2, "big") + extensions
    kind = 0x21 if family is socket.AF_INET6 else 0x11
    return SIGNATURE_2 + bytes([command, kind]) + len(rest).to_bytes(2, "big") + rest


PAIRS = st.one_of(
    st.tuples(st.ip_addresses(v=4).map(str), st.ip_addresses(v=4).map(str)),
    st.tuples(
        *(st.binary(min_size=16, max_size=16).map(lambda packed: socket.inet_ntop(socket.AF_INET6, packed)),) * 2
    ),
)


# Of addresses that hold one of IPv4, Python and the system have had different ways to write them.
@example(("::ffff:192.0.2.1", "::192.0.2.2"), 1, b"", b"", True)
@example(("::192.0.2.1", "::ffff:192.0.2.2"), 1, b"", b"", False)
@given(PAIRS, PORTS, st.binary(max_size=300), st.binary(max_size=40), st.booleans())
def test_a_header_is_read_wherever_it_is_cut(
    pair: tuple[str, str], port: int, extensions: bytes, rest: bytes, text: bool
) -> None:
    header = line(*pair, port) if text else binary(*pair, port, extensions)
    source = f"[{pair[0]}]:{port}" if ":" in pair[0] else f"{pair[0]}:{port}"
    for end in range(len(header)):
        assert read_header(header[:end]) is None
        assert may_begin_header(header[:end])
    assert read_header(header + rest) == ProxyHeader(len(header), source)
    assert is_header(header + rest)


@given(st.builds(bytes.__add__, st.sampled_from([b"", SIGNATURE_1, SIGNATURE_2, SIGNATURE_2 + b"\x21"]), st.binary()))
def test_whatever_comes_is_a_header_or_not_and_its_length_is_bounded(data: bytes) -> None:
    try:
        found = read_header(data)
    except ProxyHeaderError as error:
        assert "\n" not in str(error)
    else:
        assert found is None or found.size <= len(data)
        if found is None:
            assert len(data) < (LONGEST_LINE if is_header(data) and data.startswith(SIGNATURE_1) else 16 + 65535)


@given(st.binary())
def test_what_is_no_header_cannot_become_one(data: bytes) -> None:
    if not may_begin_header(data):
        with pytest.raises(ProxyHeaderError):
            read_header(data)
        assert not is_header(data + SIGNATURE_1)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ff:f:: ff:f:: 1 2\r\n",
        binary(*V4, command=0x20),
        SIGNATURE_2 + b"\x20\x00\x00\x00",
        SIGNATURE_2 + b"\x21\x00\x00\x00",
        SIGNATURE_2 + b"\x21\x31\x00\xd8" + bytes(216),
    ],
)
def test_a_proxy_may_speak_for_itself_or_tell_nothing(header: bytes) -> None:
    assert read_header(header) == read_header(header + b"rest") == ProxyHeader(len(header), None)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 50000\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 50000 80\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 65536\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 8_0\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 fe80::1%\n\x1b[31m 2001:db8::2 1 2\r\n",
        b"PROXY TCP4 localhost 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.\xff 192.0.2.2 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY \r\n",
        b"PROXY " + b"x" * LONGEST_LINE,
        SIGNATURE_2 + b"\x11\x11\x00\x0c" + bytes(12),
        SIGNATURE_2 + b"\x22\x11\x00\x0c" + bytes(12),
        SIGNATURE_2 + b"\x21\x11\x00\x0b" + bytes(11),
        SIGNATURE_2 + b"\x21\x21\x00\x0c" + bytes(12),
        SIGNATURE_2 + b"\x21\x44\x00\x0c" + bytes(12),
        b"GET / HTTP/1.1\r\n",
        b"PROXIES",
    ],
)
def test_a_broken_header_is_refused(header: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        read_header(header)


@pytest.mark.parametrize(
    ("trusted", "address", "is_trusted"),
    [
        ("127.0.0.1", "127.0.0.1:5", True),
        ("127.0.0.1", "127.0.0.2:5", False),
        ("10.0.0.0/8,192.0.2.7", "10.9.8.7:5", True),
        ("10.0.0.0/8, 192.0.2.7", "192.0.2.7:5", True),
        ("2001:db8::/32", "[2001:db8::5]:6", True),
        ("fe80::/10", "[fe80::1%eth0]:6", True),
        ("10.0.0.0/8", "[::ffff:10.0.0.1]:6", True),
        ("10.0.0.0/8", "[::1]:6", False),
        ("unix", "unix:pid=1,uid=0", True),
        ("10.0.0.0/8", "unix:pid=1,uid=0", False),
        ("unix", "127.0.0.1:1", False),
    ],
)
def test_whose_headers_are_taken(trusted: str, address: str, is_trusted: bool) -> None:
    assert parse_trusted(trusted).trust(address) is is_trusted


@pytest.mark.parametrize("text", ["", "proxy.example.org", "10.0.0.1/8", "10.0.0.0/33", "127.0.0.1:80", "a,,b"])
def test_what_names_no_addresses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="addresses or networks"):
        parse_trusted(text)
