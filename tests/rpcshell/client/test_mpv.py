"""mpv's JSON IPC: what mpv 0.35 has said, what a hostile server might, and a real player where there is one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, CallTimeout, ConnectionFailed, ProtocolError, UsageError
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Event, Stray
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcshell.client.dialects.mpv import Mpv
from rpcshell.line.catalog import Catalog
from rpcwire import ERROR_OUT, MAX_REPLY, RemoteError, Reply, encode_value
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.mpv import needs_mpv, player
from tests.rpcshell.peers import DEADLINE, Peer, say, serving
from tests.rpcwire.feeding import cut, single_bytes

RECORDED = b"""\
{"data":131072,"request_id":1,"error":"success"}
{"data":{"playlist_entry_id":1},"request_id":2,"error":"success"}
{"event":"start-file","playlist_entry_id":1}
{"event":"audio-reconfig"}
{"data":0.25,"request_id":3,"error":"success"}
{"request_id":4,"error":"invalid parameter"}
{"request_id":0,"error":"invalid parameter"}
{"event":"end-file","reason":"eof","playlist_entry_id":1}
{"request_id":8,"error":"success"}
{"event":"property-change","id":1,"name":"volume","data":42.000000}
{"request_id":10,"error":"success","data":{"status":-2,"killed_by_us":true,"error_string":"killed"}}
{"data":{"status":0,"killed_by_us":false,"error_string":"","stdout":},"request_id":11,"error":"success"}
{"data":"caf\xe9.mp3","request_id":12,"error":"success"}
{"data":{,"request_id":13,"error":"success"}
neither this
"""
MEANT = [
    Reply("data", 131072, 1),
    Reply("data", {"playlist_entry_id": 1}, 2),
    Event("start-file", {"playlist_entry_id": 1}),
    Event("audio-reconfig", {}),
    Reply("data", 0.25, 3),
    Reply(ERROR_OUT, "invalid parameter", 4),
    Reply(ERROR_OUT, "invalid parameter", 0),
    Event("end-file", {"reason": "eof", "playlist_entry_id": 1}),
    Reply("data", None, 8),
    Event("property-change", {"id": 1, "name": "volume", "data": 42.0}),
    Reply("data", {"status": -2, "killed_by_us": True, "error_string": "killed"}, 10),
    Reply("data", {"status": 0, "killed_by_us": False, "error_string": "", "stdout": None}, 11),
    Reply("data", "caf\ufffd.mp3", 12),
    Reply(ERROR_OUT, "it has sent a reply that is no JSON", 13),
    Stray("neither this"),
]


def heard(pieces: Iterable[bytes]) -> list[Any]:
    return said(Mpv(MAX_REPLY), *pieces)


@given(st.lists(st.integers(0, len(RECORDED))))
def test_what_a_player_says_means_the_same_however_it_is_cut(places: list[int]) -> None:
    assert heard(cut(RECORDED, places)) == MEANT


def test_what_a_player_says_means_the_same_byte_by_byte_and_with_more_behind_it() -> None:
    assert heard(single_bytes(RECORDED)) == MEANT
    assert heard([RECORDED + b'{"event":"id']) == MEANT


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
KEYS = st.sampled_from(["data", "error", "event", "request_id", "id", "name", "command"])
MESSAGES = st.dictionaries(KEYS, VALUES | st.sampled_from(["success", "idle"]), max_size=4) | VALUES


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 300), max_size=5), st.binary(max_size=20))
def test_whatever_comes_is_a_message_or_breaks_the_rules(
    messages: list[object], places: list[int], more: bytes
) -> None:
    stream = b"".join(encode_value(message) + b"\n" for message in messages)
    with suppress(RemoteError):
        for message in heard(cut(stream + b'"request_id":1' + more + b"\n", places)):
            assert isinstance(message, Event | Reply | Stray)
            assert not isinstance(message, Reply) or message.fault is None or message.fault.message is not None


@pytest.mark.parametrize(
    ("method", "params", "command"),
    [
        ("get_version", None, ["get_version"]),
        ("seek", [5, "absolute"], ["seek", 5, "absolute"]),
        ("seek", (5,), ["seek", 5]),
        ("show-text", "hi", ["show-text", "hi"]),
        ("seek", {"target": 5}, {"name": "seek", "target": 5}),
        ("cycle", {"name": "pause"}, ["cycle", "pause"]),
        ("set", {"value": "5", "name": "volume"}, ["set", "volume", "5"]),
        ("set_property", {"value": 5, "name": "volume"}, ["set_property", "volume", 5]),
        ("get_version", {}, ["get_version"]),
    ],
)
def test_commands_go_by_position_and_by_name(method: str, params: object, command: object) -> None:
    data = Mpv(MAX_REPLY).encode_call(method, params, meta=False, plain=False, number=7)
    assert json.loads(data) == {"command": command, "request_id": 7, "async": True}


LISTED = [
    {"name": "seek", "args": [{"name": "target", "type": "Time", "optional": False}], "vararg": False},
    {
        "name": "set",
        "args": [
            {"name": "name", "type": "String", "optional": False},
            {"name": "value", "type": "String", "optional": False},
        ],
        "vararg": False,
    },
    {
        "name": "run",
        "args": [
            {"name": "command", "type": "String", "optional": False},
            {"name": "args", "type": "String", "optional": False},
        ],
        "vararg": True,
    },
    {"name": "new", "args": [{"name": "a", "type": "Unheard", "optional": False}], "vararg": False},
]
PROPERTIES: dict[str, Any] = {
    "command-list": LISTED,
    "mpv-version": "mpv 0.35.1",
    "property-list": ["volume", "pause"],
    "track-list": [{}, {}],
    "track-list/0": {"id": 1, "type": "audio"},
    "option-info/keep-open": {"name": "keep-open", "choices": ["no", "yes"]},
    "option-info/pause": {"name": "pause", "type": "Flag"},
}


def mpv(peer: Peer) -> None:
    """A player of properties."""
    for line in peer.sock.makefile("rb"):
        request = json.loads(line)
        match request["command"]:
            case ["get_version"]:
                answer = {"data": 131072, "error": "success"}
            case ["get_property", name] if name in PROPERTIES:
                answer = {"data": PROPERTIES[name], "error": "success"}
            case ["get_property", _]:
                answer = {"error": "property not found"}
            case _:
                answer = {"error": "invalid parameter"}
        say(peer, {**answer, "request_id": request["request_id"]})


def test_it_calls_and_refuses(connect: Connect) -> None:
    with serving(mpv) as server, connect(f"mpv:{server.target}") as client:
        assert client.call("get_property", ["mpv-version"]) == "mpv 0.35.1"
        with pytest.raises(CallError, match="property not found") as caught:
            client.call("get_property", {"name": "nope"})
        assert caught.value.code == -32000
        with pytest.raises(UsageError, match="set_property takes name, value"):
            client.call("set_property", {"value": 1})


def test_it_lists_commands_with_their_params() -> None:
    with serving(mpv) as server, connect_blocking(f"mpv:{server.target}") as client:
        catalog = Catalog.from_openrpc(client.describe().document)
    assert (catalog.title, catalog.version, catalog.method_noun) == ("mpv", "0.35.1", "command")
    assert catalog.methods["seek"].signature == "seek(target: string | number)"
    assert catalog.methods["set"].by_position
    assert catalog.methods["set"].params[0].completes
    assert catalog.methods["run"].whole
    assert catalog.methods["observe_property"].by_position
    assert "property-change" in catalog.events


@pytest.mark.parametrize(
    ("param", "typed", "others", "found"),
    [
        ("name", "vo", {}, ["volume", "pause"]),
        ("name", "track-list/", {}, ["track-list/0", "track-list/1", "track-list/count"]),
        ("name", "track-list/0/", {}, ["track-list/0/id", "track-list/0/type"]),
        ("name", "nope/", {}, []),
        ("value", "", {"name": "keep-open"}, ["no", "yes"]),
        ("value", "", {"name": "pause"}, []),
        ("value", "", {}, []),
    ],
)
def test_it_completes_properties_what_is_in_them_and_values(
    param: str, typed: str, others: dict[str, str], found: list[str]
) -> None:
    with serving(mpv) as server, connect_blocking(f"mpv:{server.target}") as client:
        assert client.complete("set_property", param, typed, others) == found


def test_who_does_not_list_its_commands_is_described_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PROPERTIES, "command-list")
    with serving(mpv) as server, connect_blocking(f"mpv:{server.target}") as client:
        found = client.describe()
    assert (found.missing, found.reason) == ("unknown", "it refuses to list its commands: property not found")


@pytest.mark.parametrize(
    ("first", "spoken"),
    [
        (b'{"request_id":0,"error":"invalid parameter"}\n', "mpv"),
        (b'{"event":"idle"}\n{"request_id":0,"error":"invalid parameter"}\n', "mpv"),
        (b'{"event":"idle"}\n', None),
        (b'{"request_id":0,"error":"inv', None),
        (b'{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":1}\n', None),
        (b"[1]\n", None),
    ],
)
def test_it_is_known_by_what_it_makes_of_a_line_without_a_command(first: bytes, spoken: str | None) -> None:
    found = Mpv.recognises(first, JsonRpc.guesses[0])
    assert (found and found.spoken) == spoken


def flood(peer: Peer) -> None:
    with suppress(OSError):
        while True:
            say(peer, *[{"event": "idle"}] * 100)


def test_who_never_answers_is_said(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.mpv.HELLO_TIMEOUT", 0.2)
    for silent in (Peer.wait_for_end, flood):
        with serving(silent) as server, pytest.raises(ConnectionFailed) as caught:
            connect(f"mpv:{server.target}")
        assert "did not tell its version within 0.2 s (is this what mpv's --input-ipc-server names?)" in str(
            caught.value
        )


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        (b'{"error":"no","request_id":1}\n', ConnectionFailed, "it refuses to tell its version: no"),
        (b'{"jsonrpc":"2.0","error":{},"id":null}\n', ProtocolError, "began with"),
        (b"[1]\n", ProtocolError, "does not answer as an RPC server"),
        (b"220 mail.example.org ESMTP\r\n", ProtocolError, "is a mail or FTP server"),
        (b"", ConnectionFailed, "closed it without a reply"),
    ],
)
def test_what_is_no_player_is_said(connect: Connect, said: bytes, error: type[Exception], says: str) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.sock.sendall(said)

    with serving(serve) as server, pytest.raises(error, match=says):
        connect(f"mpv:{server.target}")


def greeted(then: Callable[[Peer, int], object]) -> Callable[[Peer], None]:
    """A player that tells its version, and then does something for each command."""

    def serve(peer: Peer) -> None:
        for number, _ in enumerate(peer.sock.makefile("rb"), 1):
            if number == 1:
                say(peer, {"data": 1, "error": "success", "request_id": 1})
            else:
                then(peer, number)

    return serve


def test_floods_of_events_leave_the_client_alive(connect: Connect) -> None:
    def pour(peer: Peer, number: int) -> None:
        say(peer, *[{"event": "idle"}] * 10_500, {"error": "success", "request_id": -1})
        say(peer, {"data": "x", "error": "success", "request_id": number})

    with serving(greeted(pour)) as server, connect(f"mpv:{server.target}") as client:
        assert client.call("a") == "x"
        assert client.call("b") == "x"


def test_requests_without_end_are_said_in_a_line(connect: Connect) -> None:
    def ask(peer: Peer, _number: int) -> None:
        with suppress(OSError):
            for number in itertools.count():
                say(peer, {"command": ["you"], "request_id": number})

    with (
        serving(greeted(ask)) as server,
        connect(f"mpv:{server.target}") as client,
        pytest.raises(ProtocolError, match='a message has "event" or "error"'),
    ):
        client.call("a", timeout=DEADLINE)


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    with player() as target:
        yield target


@needs_mpv
def test_a_real_player_answers_refuses_and_tells_changes(real: str) -> None:
    with connect_blocking(real) as client:
        client.call("observe_property", [1, "volume"])
        client.call("set_property", {"name": "volume", "value": 42})
        changed = (event.params["data"] for event in client.events(timeout=DEADLINE) if event.name == "property-change")
        assert 42 in changed
        with pytest.raises(CallError, match="property not found"):
            client.call("get_property", ["nope"])
        with pytest.raises(CallError, match="invalid parameter"):
            client.call("nope")


@needs_mpv
def test_a_real_player_answers_while_a_command_that_was_given_up_runs(connect: Connect, real: str) -> None:
    with connect(real) as client:
        with pytest.raises(CallTimeout):
            client.call("subprocess", {"args": ["sleep", "30"], "playback_only": False}, timeout=0.1)
        assert client.call("expand-text", {"text": "${idle-active}"}) == "yes"
        printed = client.call("subprocess", {"args": ["echo"], "playback_only": False, "capture_stdout": True})
        assert printed["status"] == 0


@needs_mpv
def test_a_real_player_lists_every_command_and_completes_its_properties(real: str) -> None:
    with connect_blocking(real) as client:
        listed = {command["name"] for command in client.call("get_property", ["command-list"])}
        catalog = Catalog.from_openrpc(client.describe().document)
        assert listed < catalog.methods.keys()
        assert catalog.version
        names = client.complete("observe_property", "name", "", {})
        assert {"volume", "pause", "playlist"} <= set(names)
        assert client.complete("set_property", "value", "", {"name": "keep-open"}) == ["no", "yes", "always"]
