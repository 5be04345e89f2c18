"""Members of a serverset and where it is: what is written is read, and what strangers write does no harm."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcwire import EncodeError
from rpcwire.errors import InvalidMember
from rpcwire.framings import FRAMINGS
from rpcwire.serverset import (
    MAX_MEMBER,
    Endpoint,
    Instance,
    Member,
    ServersetAddress,
    decode_member,
    encode_member,
    is_member_name,
    member_name,
)

HOSTS = st.sampled_from(["10.0.0.1", "calc-1.example.org", "exec", "::1", "fe80::1%eth0"]) | st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]{1,10}){0,3}", fullmatch=True
)
ENDPOINTS = st.builds(Endpoint, HOSTS, st.integers(1, 65535))
NO_HOSTS = ["", "a b", "a\n", "\x1b[2J", "h:1", "[::1]", "::1%", "::1%a b", "a,b", "u@h", "/run/x", "a" * 254]
NOT_THERE = ["exec:reboot", "unix:/x", "10.0.0.1:80", "10.0.0.2:8080", "tls://10.0.0.1:8080", "mcp:10.0.0.1:8080"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=256)
COUNTS = st.integers(0, 1_000_000)
TOLD = {
    **dict.fromkeys(["model", "service", "version", "openrpc"], TEXTS),
    **dict.fromkeys(["workers", "weight", "generation"], COUNTS),
    "close": st.booleans(),
}


@st.composite
def members(draw: st.DrawFn) -> Member:
    endpoint, tls = draw(ENDPOINTS), draw(st.booleans())
    scheme = "tls://" if tls else "tcp://"
    forms = ["", scheme + str(endpoint), *(f"{framing}+{scheme}{endpoint}" for framing in FRAMINGS)]
    told = draw(st.fixed_dictionaries(TOLD))
    instance = msgspec.structs.replace(Instance(address=draw(st.sampled_from(forms)), tls=tls), **told)
    others = draw(st.dictionaries(TEXTS, ENDPOINTS, max_size=3))
    return Member(endpoint, others, draw(TEXTS), draw(st.none() | st.integers(-(2**31), 2**31)), instance)


def node(**changes: object) -> bytes:
    return json.dumps({"serviceEndpoint": {"host": "10.0.0.1", "port": 8080}, **changes}).encode()


def test_a_member_is_written_as_finagle_and_prometheus_read_it() -> None:
    member = Member(Endpoint("10.0.0.1", 8080), rpc=Instance(address="10.0.0.1:8080", model="async", workers=2))
    told = json.loads(encode_member(member))
    assert told.pop("rpc")["workers"] == 2
    assert told == {
        "serviceEndpoint": {"host": "10.0.0.1", "port": 8080},
        "additionalEndpoints": {},
        "status": "ALIVE",
        "shard": 0,
    }


@given(members())
def test_what_is_written_is_read(member: Member) -> None:
    assert decode_member(encode_member(member)) == member
    assert member.address.endswith(str(member.service_endpoint))
    assert is_member_name(member_name(member.service_endpoint))


def test_what_another_make_of_server_writes_is_a_member() -> None:
    member = decode_member(node(additionalEndpoints={"http": {"host": "h", "port": 80}}, status="ALIVE", metadata={}))
    assert (member.alive, member.address, member.rpc) == (True, "tcp://10.0.0.1:8080", Instance())


def test_what_a_newer_server_adds_is_ignored() -> None:
    member = decode_member(node(rpc={"v": 2, "workers": 3, "zone": "a"}, status="STOPPING", mood="calm"))
    assert (member.rpc.workers, member.alive) == (3, False)


@pytest.mark.parametrize("host", ["exec", "unix", "qmp", "mcp"])
def test_a_host_is_not_taken_for_what_stands_before_an_address(host: str) -> None:
    assert decode_member(node(serviceEndpoint={"host": host, "port": 1})).address == f"tcp://{host}:1"
    told = {"host": host, "port": 1}
    assert decode_member(node(serviceEndpoint=told, rpc={"address": f"{host}:1"})).address == f"tcp://{host}:1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"[" * 10_000,
        b'{"serviceEndpoint":{"host":"h","port":1},"x":' + b"[" * 10_000,
        node(serviceEndpoint={"host": "h"}),
        *(node(serviceEndpoint={"host": "h", "port": port}) for port in (0, -1, 65536, 1.5, "80", None, True)),
        *(node(serviceEndpoint={"host": host, "port": 1}) for host in NO_HOSTS),
        node(rpc={"workers": -1}),
        node(rpc={"weight": 10**9}),
        node(rpc={"service": "x" * 257}),
        node(rpc={"service": "x" * MAX_MEMBER}),
        *(node(rpc={"address": address}) for address in NOT_THERE),
        node(rpc={"address": "10.0.0.1:8080", "tls": True}),
        node(padding="x" * MAX_MEMBER),
    ],
)
def test_what_is_no_member_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMember):
        decode_member(data)


@given(
    st.binary() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(msgspec.json.encode)
)
def test_whatever_a_node_holds_it_is_a_member_or_none(data: bytes) -> None:
    try:
        decode_member(data)
    except InvalidMember as error:
        assert str(error)


def test_a_member_that_nobody_would_read_is_not_written() -> None:
    for member in (Member(Endpoint("a b", 1)), Member(Endpoint("h", 0)), Member(Endpoint("h", 1), status="\ud800")):
        with pytest.raises(EncodeError):
            encode_member(member)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("zk://h/a", ServersetAddress((Endpoint("h", 2181),), "/a")),
        ("zks://h:1/a/b/", ServersetAddress((Endpoint("h", 1),), "/a/b", tls=True)),
        (
            "zk://h,[::1]:5,[::2]/é",
            ServersetAddress((Endpoint("h", 2181), Endpoint("::1", 5), Endpoint("::2", 2181)), "/é"),
        ),
    ],
)
def test_addresses(text: str, read: ServersetAddress) -> None:
    assert ServersetAddress.parse(text) == read


@given(
    st.lists(ENDPOINTS, min_size=1, max_size=5),
    st.lists(st.from_regex(r"[\w.:-]{1,20}", fullmatch=True).filter(lambda part: part.strip(".")), min_size=1),
    st.booleans(),
)
def test_an_address_that_is_written_is_read(servers: list[Endpoint], parts: list[str], tls: bool) -> None:
    if parts[0] == "zookeeper":
        return
    address = ServersetAddress(tuple(servers), "/" + "/".join(parts), tls)
    try:
        read = ServersetAddress.parse(str(address))
    except ValueError:
        # Characters of the private areas are letters to some versions of Unicode, and nothing to ZooKeeper.
        assert not str(address).isascii() or len(address.path) > 1024
    else:
        assert read == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "h:2181/a", "http://h/a", "ZK://h/a", "zk://", "zk:///a", "zk://h", "zk://h/", "zk://h//", "zk://h/a//b"),
        *("zk://h/./a", "zk://h/a/..", "zk://h/a b", "zk://h/a\0", "zk://h/a?b", "zk://h/a#b", "zk://h/\ud800"),
        *(
            "zk://h/zookeeper/quota",
            f"zk://h/{'a' * 1025}",
            f"zk://{'h,' * 32}h/a",
            "zk://h,/a",
            "zk://,h/a",
            "zk://h /a",
        ),
        *("zk://h:0/a", "zk://h:65536/a", "zk://h:/a", "zk://h:x/a", "zk://h:1:2/a", "zk://h:٣/a", "zk://h\n/a"),
        *("zk://::1/a", "zk://[::1/a", "zk://[::1]x/a", "zk://[::1]:/a", "zk://[h]/a"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ServersetAddress.parse(text)


def test_a_password_in_an_address_is_not_repeated() -> None:
    for text in ("zk://user:hunter2@h/a", "zk://h/a@hunter2", "etcd://user:hunter2@h/a"):
        with pytest.raises(ValueError, match="no password") as caught:
            ServersetAddress.parse(text)
        assert "hunter2" not in str(caught.value)


@given(st.text() | st.text().map("zk://{}".format))
def test_whatever_an_address_is_it_is_read_or_refused(text: str) -> None:
    try:
        ServersetAddress.parse(text)
    except ValueError as error:
        assert str(error)
