"""The guest agent: what one of QEMU 7.2 has said, and a real one where it is installed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, ConnectionFailed
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Ask, Tell
from rpcshell.client.dialects.qga import GuestAgent
from rpcshell.line.catalog import Catalog
from rpcshell.line.hint import problems
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings, suggest
from rpcwire import MAX_REPLY, Reply, encode_value
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import Peer, serving
from tests.rpcshell.qemu import guest_agent, needs_guest_agent
from tests.rpcwire.feeding import cut, single_bytes

STRAY = b'{"error": {"class": "GenericError", "desc": "JSON parse error, stray \'\\\\uFFFD\'"}}\n'
INFO: dict[str, Any] = {
    "version": "7.2.22",
    "supported_commands": [
        {"enabled": True, "name": "guest-ping", "success-response": True},
        {"enabled": False, "name": "guest-get-devices", "success-response": True},
        {"enabled": True, "name": "guest-shutdown", "success-response": False},
    ],
}


class Agent:
    """Answers as an agent does, after what it had still to say to an earlier client."""

    def __init__(self, earlier: bytes = b"") -> None:
        self.earlier = earlier
        self.fails = False
        self.ran: list[str] = []

    def __call__(self, peer: Peer) -> None:
        peer.sock.sendall(self.earlier)
        for line in peer.sock.makefile("rb"):
            if line.startswith(b"\xff"):
                peer.sock.sendall(STRAY)
            peer.sock.sendall(self.answer(json.loads(line.lstrip(b"\xff"))))

    def answer(self, command: dict[str, Any]) -> bytes:
        self.ran.append(command["execute"])
        id = {"id": command["id"]} if "id" in command else {}
        match command["execute"]:
            case "guest-sync-delimited":
                return b"\xff" + encode_value({"return": command["arguments"]["id"], **id}) + b"\n"
            case "guest-info":
                return encode_value({"return": INFO, **id}) + b"\n"
            case "guest-shutdown" if not self.fails:
                return b""
            case "guest-ping":
                return encode_value({"return": {}, **id}) + b"\n"
        return encode_value({"error": {"class": "GenericError", "desc": "no"}, **id}) + b"\n"


@pytest.mark.parametrize(
    "earlier",
    [
        b"",
        b'{"return": {}, "id": 1}\n',
        b'{"return": "half a re',
        b'\xff{"return": 12345}\n',
        b'ply"}\n\xff{"return": 1}\n{"return": 2}\n\xff\xff',
    ],
)
def test_what_was_meant_for_an_earlier_client_is_left_out(connect: Connect, earlier: bytes) -> None:
    agent = Agent(earlier)
    with serving(agent) as server, connect(f"qga:{server.target}") as client:
        assert client.call("guest-ping") == {}
        with pytest.raises(CallError, match="no"):
            client.call("guest-nope")
        assert client.call("guest-ping") == {}


def test_a_command_that_answers_nothing_is_not_waited_for(connect: Connect) -> None:
    agent = Agent()
    with serving(agent) as server, connect(f"qga:{server.target}", timeout=None) as client:
        assert client.call("guest-shutdown", {"mode": "reboot"}) == {}
        agent.fails = True
        with pytest.raises(CallError, match="no"):
            client.call("guest-shutdown")
        assert client.call("guest-ping") == {}


def test_an_agent_that_does_not_answer_is_said(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.qga.SYNC_TIMEOUT", 0.2)
    with serving(Peer.wait_for_end) as server, pytest.raises(ConnectionFailed, match="does qemu-ga run") as caught:
        connect(f"qga:{server.target}")
    assert caught.value.exit_code == 3


def get_in_step(dialect: GuestAgent, pieces: Callable[[bytes], Iterable[bytes]], left: bytes) -> bool:
    """Take a dialect through its greeting, with an agent that has something left to say, all of it in pieces."""
    hello = dialect.hello()
    told = next(hello)
    assert isinstance(told, Tell)
    assert told.data.startswith(b"\xff")
    token = json.loads(told.data[1:])["arguments"]["id"]
    hello.send(None)
    try:
        for piece in pieces(left + b"\xff" + encode_value({"return": token}) + b"\n"):
            dialect.receive(piece)
            while (heard := dialect.next_event()) is not None:
                hello.send(heard)
    except StopIteration:
        return True
    return False


@given(st.binary(max_size=40), st.lists(st.integers(0, 200), max_size=5))
def test_whatever_an_earlier_client_has_left_both_get_in_step(left: bytes, places: list[int]) -> None:
    left = left.replace(b"\xff", b"")
    for pieces in (lambda data: cut(data, places), single_bytes, lambda data: [data]):
        dialect = GuestAgent(MAX_REPLY)
        assert get_in_step(dialect, pieces, left)
        dialect.receive(b'{"return": {}, "id": 1}')
        assert dialect.next_event() == Reply("return", {}, 1)


def offered(commands: list[Any]) -> Catalog:
    describe = GuestAgent(MAX_REPLY).describe()
    assert isinstance(asked := next(describe), Ask)
    assert asked.method == "guest-info"
    with pytest.raises(StopIteration) as end:
        describe.send(Reply("return", {**INFO, "supported_commands": commands}, 1))
    return Catalog.from_openrpc(end.value.value.document)


def test_what_an_agent_offers_is_what_it_lists_with_params_that_are_known() -> None:
    catalog = offered([*INFO["supported_commands"], {"name": "guest-file-seek"}, {"name": "guest-new"}])
    assert catalog.version == "7.2.22"
    methods = catalog.methods
    assert list(methods) == ["guest-ping", "guest-get-devices", "guest-shutdown", "guest-file-seek", "guest-new"]
    assert methods["guest-get-devices"].summary == "switched off in the guest"
    line = 'guest-file-seek {"handle": 1, "whence": "'
    found = {one.text for one in suggest(parse(line), len(line), Surroundings(catalog))}
    assert {'"set"', '"cur"', '"end"'} <= found
    for line, wrong in {
        'guest-shutdown {"mode": "reboot"}': 0,
        'guest-shutdown {"mode": "sleep"}': 1,
        'guest-file-seek {"handle": "x", "offset": 1, "whence": 0}': 1,
        'guest-file-seek {"handle": 1}': 1,
        'guest-new {"a": 1}': 0,
        'guest-ping {"newer": 1}': 0,
    }.items():
        assert len(list(problems(parse(line), len(line), Surroundings(catalog)))) == wrong, line


@given(
    st.lists(st.none() | st.dictionaries(st.text(), st.text()) | st.fixed_dictionaries({"name": st.lists(st.text())}))
)
def test_whatever_an_agent_lists_is_read(commands: list[Any]) -> None:
    offered(commands)


@needs_guest_agent
def test_a_real_agent(connect: Connect) -> None:
    with guest_agent() as target:
        for _ in range(2):
            with connect(target) as client:
                assert client.call("guest-ping") == {}
                with pytest.raises(CallError, match="'path' is missing"):
                    client.call("guest-file-open", {})
                names = {one["name"] for one in client.call("guest-info")["supported_commands"]}
                assert "guest-sync-delimited" in names
        with connect_blocking(target) as client:
            described = {one["name"]: one["params"] for one in client.describe().document["methods"]}
            assert [param["name"] for param in described["guest-file-open"]] == ["path", "mode"]
