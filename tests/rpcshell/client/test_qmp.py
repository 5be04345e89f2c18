"""QMP: what QEMU 7.2 has said, what a hostile server might, and a real monitor where there is one."""

from __future__ import annotations

import itertools
import json
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, CallTimeout, ConnectionFailed, ProtocolError, TcpTarget, UsageError
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Event, TextReply
from rpcshell.client.dialects.qmp import Qmp
from rpcshell.client.dialogue import Dialogue
from rpcshell.line.catalog import Catalog
from rpcwire import ERROR_OUT, MAX_REPLY, RemoteError, Reply, encode_value
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.peers import DEADLINE, Peer, serving
from tests.rpcshell.qemu import monitor, needs_qemu
from tests.rpcwire.feeding import cut, single_bytes

VERSION = {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2+dfsg-7+deb12u18+b3"}
GREETING = {"QMP": {"version": VERSION, "capabilities": ["oob"]}}
RESUME = {"timestamp": {"seconds": 1795880058, "microseconds": 148122}, "event": "RESUME"}
RESUMED = Event("RESUME", {"timestamp": RESUME["timestamp"]})
RECORDED = b"\r\n".join(
    encode_value(message)
    for message in (
        GREETING,
        {"return": {}, "id": 1},
        RESUME,
        {"return": {}, "id": 2},
        {"id": 3, "error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}},
        {"error": {"class": "GenericError", "desc": "JSON parse error, expecting value"}},
        {"return": {"enabled": False}, "id": {"any": ["json", 1]}},
        {"event": "NIC_RX_FILTER_CHANGED", "data": {"path": "/x"}, "timestamp": {"seconds": 1, "microseconds": 2}},
    )
)
MEANT = [
    Event("QMP", GREETING["QMP"]),
    Reply("return", {}, 1),
    RESUMED,
    Reply("return", {}, 2),
    Reply(
        ERROR_OUT,
        {"code": -32601, "message": "The command nope has not been found", "data": {"class": "CommandNotFound"}},
        3,
    ),
    Reply(
        ERROR_OUT,
        {"code": -32000, "message": "JSON parse error, expecting value", "data": {"class": "GenericError"}},
    ),
    Event("NIC_RX_FILTER_CHANGED", {"path": "/x", "timestamp": {"seconds": 1, "microseconds": 2}}),
]


def heard(pieces: Iterable[bytes]) -> list[Any]:
    return said(Qmp(MAX_REPLY), *pieces)


@given(st.lists(st.integers(0, len(RECORDED))))
def test_what_a_monitor_says_means_the_same_however_it_is_cut(places: list[int]) -> None:
    assert heard(cut(RECORDED + b"\r\n", places)) == MEANT


def test_what_a_monitor_says_means_the_same_byte_by_byte() -> None:
    assert heard(single_bytes(RECORDED + b"\r\n")) == MEANT


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
KEYS = st.sampled_from(["return", "error", "event", "id", "QMP", "timestamp", "data", "class", "desc", "execute"])
MESSAGES = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=2), max_size=4) | VALUES


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 300), max_size=5))
def test_whatever_comes_is_a_message_or_breaks_the_rules(messages: list[object], places: list[int]) -> None:
    stream = b"".join(encode_value(message) + b"\r\n" for message in messages)
    with suppress(RemoteError):
        for message in heard(cut(stream, places)):
            assert isinstance(message, Event | Reply)
            assert not isinstance(message, Reply) or message.fault is None or message.fault.message is not None


def test_what_the_monitor_for_people_prints_is_a_text() -> None:
    dialect = Qmp(MAX_REPLY)
    for number, method in enumerate(("human-monitor-command", "query-name", "human-monitor-command"), 1):
        dialect.encode_call(method, {}, meta=False, plain=False, number=number)
    dialect.receive(
        b'{"return": "1", "id": 1} {"return": "2", "id": 2} {"error": {"class": "A", "desc": "b"}, "id": 3}'
    )
    assert [type(dialect.next_event()) for _ in range(3)] == [TextReply, Reply, Reply]


def test_an_event_may_come_before_the_reply_to_what_has_caused_it() -> None:
    came: list[Any] = []
    made = Dialogue(TcpTarget("h", 1), Qmp(MAX_REPLY), came.append)
    number, data = made.call("cont", None, came.append, meta=False, plain=False)
    assert json.loads(data) == {"execute": "cont", "id": number}
    made.receive(encode_value(RESUME) + encode_value({"return": {}, "id": number}))
    for give, what in made.arrived():
        give(what)
    assert came == [RESUMED, Reply("return", {}, number)]


def served(*answers: Callable[[Peer, dict[str, Any]], object], greeting: object = GREETING) -> Callable[[Peer], None]:
    """A monitor that greets, negotiates, and answers the commands that follow as it is told."""

    def serve(peer: Peer) -> None:
        say(peer, greeting)
        lines = iter(peer.sock.makefile("rb"))
        for line, answer in zip(lines, itertools.chain([negotiate], answers), strict=False):
            answer(peer, json.loads(line))
        peer.wait_for_end()

    return serve


def say(peer: Peer, *messages: object) -> None:
    peer.sock.sendall(b"".join(encode_value(message) + b"\r\n" for message in messages))


def negotiate(peer: Peer, command: dict[str, Any]) -> None:
    assert command["execute"] == "qmp_capabilities"
    say(peer, {"return": {}, "id": command["id"]})


def answer(peer: Peer, command: dict[str, Any]) -> None:
    say(peer, {"return": command, "id": command["id"]})


def test_commands_have_arguments_by_name_or_none(connect: Connect) -> None:
    with serving(served(answer, answer)) as server, connect(f"qmp:{server.target}") as client:
        assert client.call("query-status") == {"execute": "query-status", "id": 2}
        with pytest.raises(UsageError, match="arguments go by name"):
            client.call("eject", ["cd0"])
        assert client.call("eject", {"id": "cd0"})["arguments"] == {"id": "cd0"}


def test_a_monitor_that_another_client_holds_is_said(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.qmp.GREETING_TIMEOUT", 0.2)
    with serving(Peer.wait_for_end) as server, pytest.raises(ConnectionFailed) as caught:
        connect(f"qmp:{server.target}")
    assert "did not greet within 0.2 s: it may be held by another client, libvirt perhaps" in str(caught.value)
    assert caught.value.exit_code == 3


def greet(peer: Peer) -> None:
    say(peer, GREETING)
    peer.wait_for_end()


def test_a_monitor_that_only_greets_is_said(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.qmp.NEGOTIATION_TIMEOUT", 0.1)
    with (
        serving(greet) as server,
        pytest.raises(ConnectionFailed, match=r"it greeted .*, and did not answer qmp_capabilities within 0\.1 s"),
    ):
        connect(f"qmp:{server.target}")


def test_a_monitor_before_which_others_wait_is_said(connect: Connect) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(f"{folder}/s")
            with pytest.raises(ConnectionFailed, match=r"no room in its queue within 0\.2 s \(it serves one client"):
                connect(f"qmp:unix:{folder}/s", connect_timeout=0.2)


def flood(peer: Peer) -> None:
    # Enough of it, as who sends without end in this process takes the time of who reads.
    with suppress(OSError):
        for _ in range(200):
            say(peer, *[RESUME] * 100)
        peer.wait_for_end()


@pytest.mark.parametrize(
    ("monitor", "error", "says"),
    [
        (flood, ConnectionFailed, r"does not greet as a QMP monitor but says 'RESUME'"),
        (served(greeting={"jsonrpc": "2.0", "method": "hi"}), ProtocolError, r'has "return", "error" or "event"'),
        (served(greeting=[1]), ProtocolError, "does not answer as an RPC server"),
        (lambda peer: peer.sock.sendall(b"QEMU 7.2 monitor\r\n(qemu) "), ProtocolError, "began with .QEMU 7.2 monitor"),
        (lambda peer: None, ConnectionFailed, "closed it without a reply"),
    ],
)
def test_what_is_no_monitor_is_said(
    connect: Connect, monitor: Callable[[Peer], object], error: type[Exception], says: str
) -> None:
    with serving(monitor) as server, pytest.raises(error, match=says):
        connect(f"qmp:{server.target}")


def test_a_monitor_that_refuses_to_negotiate_is_said(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(peer: Peer, command: dict[str, Any]) -> None:
        say(peer, {"error": {"class": "GenericError", "desc": "not today"}, "id": command["id"]})

    monkeypatch.setitem(globals(), "negotiate", refuse)
    with serving(served()) as server, pytest.raises(ConnectionFailed, match="refuses to negotiate: not today"):
        connect(f"qmp:{server.target}")


def test_floods_of_events_and_strange_messages_leave_the_client_alive(connect: Connect) -> None:
    def pour(peer: Peer, command: dict[str, Any]) -> None:
        say(
            peer, *[RESUME] * 10_500, {"return": 1, "id": "no such"}, {"return": 2, "id": -1}, {"return": 3, "id": True}
        )
        answer(peer, command)

    with serving(served(pour, answer)) as server, connect(f"qmp:{server.target}") as client:
        assert client.call("a")["execute"] == "a"
        assert client.call("b")["execute"] == "b"


def test_requests_without_end_are_said_in_a_line(connect: Connect) -> None:
    def ask(peer: Peer, command: dict[str, Any]) -> None:
        with suppress(OSError):
            for number in itertools.count():
                say(peer, {"execute": "you", "id": number})

    def serve(peer: Peer) -> None:
        (served(ask) if not peer.number else served(answer))(peer)

    with serving(serve) as server, connect(f"qmp:{server.target}") as client:
        with pytest.raises(ProtocolError, match='"return", "error" or "event"'):
            client.call("a", timeout=DEADLINE)
        assert client.call("b")["execute"] == "b"


def test_a_server_that_does_not_tell_its_schema_is_described_as_that() -> None:
    def refuse(peer: Peer, command: dict[str, Any]) -> None:
        say(peer, {"id": command["id"], "error": {"class": "CommandNotFound", "desc": "no query-qmp-schema"}})

    for reply, missing, reason in (
        (refuse, "unknown", "it refuses query-qmp-schema: no query-qmp-schema"),
        (answer, "unknown", "its schema is no list"),
    ):
        with serving(served(reply)) as server, connect_blocking(f"qmp:{server.target}") as client:
            found = client.describe()
            assert (found.missing, found.reason) == (missing, reason)


@pytest.fixture(scope="module")
def qemu() -> Iterator[str]:
    with monitor() as target:
        yield target


@needs_qemu
def test_a_real_monitor_answers_and_refuses(connect: Connect, qemu: str) -> None:
    with connect(qemu) as client:
        assert client.call("query-version")["qemu"]["major"] >= 7
        with pytest.raises(CallError, match="has not been found") as caught:
            client.call("nope")
        assert (caught.value.code, caught.value.data) == (-32601, {"class": "CommandNotFound"})
        with pytest.raises(CallError, match="'x' is unexpected") as caught:
            client.call("query-status", {"x": 1})
        assert (caught.value.code, caught.value.data) == (-32000, {"class": "GenericError"})
        assert "paused" in client.call("human-monitor-command", {"command-line": "info status"})
        with pytest.raises(CallTimeout):
            client.call("query-qmp-schema", timeout=0)
        assert client.call("query-name") == {}


@needs_qemu
def test_a_real_monitor_tells_events_and_lets_the_next_client_in(qemu: str) -> None:
    for _ in range(2):
        with connect_blocking(qemu) as client:
            client.call("cont")
            client.call("stop")
            names = [event.name for event in itertools.islice(client.events(timeout=DEADLINE), 2)]
            assert names == ["RESUME", "STOP"]


@needs_qemu
def test_a_real_monitor_that_is_held_is_said(connect: Connect, qemu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect_blocking(qemu) as client:
        client.call("query-status")
        monkeypatch.setattr("rpcshell.client.dialects.qmp.GREETING_TIMEOUT", 0.2)
        with pytest.raises(ConnectionFailed, match="held by another client"):
            connect(qemu)


@needs_qemu
def test_a_real_schema_names_every_command_and_none_by_a_number(qemu: str) -> None:
    with connect_blocking(qemu) as client:
        commands = {one["name"] for one in client.call("query-commands")}
        catalog = Catalog.from_openrpc(client.describe().document)
    assert catalog.methods.keys() == commands
    assert catalog.events["DEVICE_DELETED"] == "device?, path"
    assert (catalog.title, catalog.method_noun) == ("QEMU", "command")
    assert catalog.version
    for method in catalog.methods.values():
        assert not any(word.strip("[]?:,()|").isdigit() for word in method.signature.split())
