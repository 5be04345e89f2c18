"""Dialects that a table describes: what Kea, Suricata and watchman have said, tables without sense, odd servers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, CallTimeout, ConnectionFailed, Envelope, ProtocolError, Target, UsageError
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Event, Partial, Stray
from rpcwire import ERROR_OUT, MAX_REPLY, EncodeError, RemoteError, Reply, encode_value
from tests.rpcshell.enveloped import JSON, KEA, SURICATA, TABLES, WATCHMAN
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.peers import DEADLINE, Peer, say, serving
from tests.rpcwire.feeding import cut, single_bytes

MINE = Envelope.from_table(
    {
        "request": {"head": {"call": "$method", "number": "$id"}, "with": "$params", "as": "$$me", "version": 2},
        "reply": {"result": "data", "error": "problem.text", "code": "problem.number"},
        "event": {"key": "event", "params": "data"},
        "names": {"method": "help", "params": {"all": True}, "path": "calls"},
        "framing": "line",
    }
)
"""Calls have numbers, and all else may be inside something."""

RECORDINGS: dict[str, tuple[Envelope, bytes, list[Any]]] = {
    "kea": (
        KEA,
        (
            b'{ "arguments": { "pid": 22117 }, "result": 0 }{ "result": 2, "text": "\'nope\' command not supported." }'
            b'{ "result": 0, "text": "done" }{ "arguments": [ ], "result": 3, "text": "0 leases" }'
        ),
        [
            Reply("result", {"pid": 22117}),
            Reply(ERROR_OUT, {"code": 2, "message": "'nope' command not supported."}),
            Reply("result", "done"),
            Reply("result", []),
        ],
    ),
    "suricata": (
        SURICATA,
        b'{"message":"7.0.10 RELEASE","return":"OK"}\n{"message":"Unknown command","return":"NOK"}\n{"return":"OK"}\n',
        [Reply("result", "7.0.10 RELEASE"), Reply(ERROR_OUT, "Unknown command"), Reply("result", None)],
    ),
    "watchman": (
        WATCHMAN,
        (
            b'{"version":"4.9.0"}\n{"error":"unknown command nope","version":"4.9.0"}\n'
            b'{"unilateral":true,"subscription":"s1","files":["a.py"]}\n{"unilateral":true,"log":"text"}\n[1]\n'
        ),
        [
            Reply("result", {"version": "4.9.0"}),
            Reply(ERROR_OUT, "unknown command nope"),
            Event("s1", {"unilateral": True, "subscription": "s1", "files": ["a.py"]}),
            Event("unilateral", {"unilateral": True, "log": "text"}),
            Reply("result", [1]),
        ],
    ),
    "mine": (
        MINE,
        (
            b'{"head":{"number":2},"data":[1]}\n{"event":"grown","data":{"by":1}}\n{"head":{"number":"2"}}\n'
            b'{"head":{"number":1},"problem":{"text":"no","number":7}}\n{"head":{"number":3},"problem":{"why":1}}\n'
            b"no JSON\n"
        ),
        [
            Reply("result", [1], 2),
            Event("grown", {"by": 1}),
            Reply("result", None, 2),
            Reply(ERROR_OUT, {"code": 7, "message": "no"}, 1),
            Reply("result", None, 3),
            Stray("no JSON"),
        ],
    ),
}


def heard(envelope: Envelope, pieces: Iterable[bytes]) -> list[Any]:
    dialect = envelope(MAX_REPLY)
    # As it is once the server has been greeted.
    with suppress(StopIteration):
        steps = dialect.hello()
        next(steps)
        steps.send(None)
        steps.send(Event("hello", {"return": "OK"}))
    return said(dialect, *pieces)


@pytest.mark.parametrize("name", RECORDINGS)
@given(places=st.lists(st.integers(0, 400)))
def test_what_a_server_says_means_the_same_however_it_is_cut(name: str, places: list[int]) -> None:
    envelope, recorded, meant = RECORDINGS[name]
    assert heard(envelope, cut(recorded, [place for place in places if place <= len(recorded)])) == meant


@pytest.mark.parametrize("name", RECORDINGS)
def test_what_a_server_says_means_the_same_byte_by_byte_and_with_more_behind_it(name: str) -> None:
    envelope, recorded, meant = RECORDINGS[name]
    assert heard(envelope, single_bytes(recorded)) == meant
    assert heard(envelope, [recorded + b'{"resul']) == meant


@pytest.mark.parametrize(
    ("envelope", "method", "params", "sent"),
    [
        (KEA, "status-get", None, {"command": "status-get"}),
        (
            KEA,
            "lease4-get",
            {"ip-address": "10.0.0.1"},
            {"command": "lease4-get", "arguments": {"ip-address": "10.0.0.1"}},
        ),
        (WATCHMAN, "version", None, ["version"]),
        (WATCHMAN, "watch", ["/src"], ["watch", "/src"]),
        (WATCHMAN, "watch", ("/src", 1), ["watch", "/src", 1]),
        (WATCHMAN, "version", {"optional": []}, ["version", {"optional": []}]),
        (WATCHMAN, "watch", "/src", ["watch", "/src"]),
        (MINE, "add", [1], {"head": {"call": "add", "number": 7}, "with": [1], "as": "$me", "version": 2}),
        (MINE, "add", None, {"head": {"call": "add", "number": 7}, "as": "$me", "version": 2}),
        (Envelope(request={"m": "$method", "p": "$params"}, no_params={}), "a", None, {"m": "a", "p": {}}),
        (Envelope(request=["$id", "$method", "$params"], reply=MINE.reply.__class__(id="n")), "a", [1], [7, "a", [1]]),
    ],
)
def test_a_call_is_written_as_the_table_has_it(envelope: Envelope, method: str, params: object, sent: object) -> None:
    data = envelope(MAX_REPLY).encode_call(method, params, meta=False, plain=False, number=7)
    assert json.loads(data) == sent


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "the dialect makes no sense: object missing required field `request`"),
        ({"request": {}}, r"request has no \$method"),
        ({"request": {"a": "$method", "b": "$parms"}}, r"has \$parms, which stands for nothing"),
        ({"request": ["$method", "$id"]}, r"reply has no id, .* has it in a list"),
        ({"request": {"m": "$method", "a.b": "$id"}}, r"reply has no id, .* has it .* under a key that .* has a dot"),
        ({"request": ["$method"], "hello": [float("nan")]}, "hello cannot be sent: NaN"),
        ({"request": ["$method"], "reply": {"id": "n"}}, r"reply has an id, and the request has no \$id"),
        ({"request": ["$method"], "framing": "lines"}, "framing is no way to tell messages apart: 'lines'"),
        ({"request": ["$method"], "hello-reply": False}, "hello-reply is for a dialect with a hello"),
        ({"request": ["$method"], "one_call": True}, "unknown field `one_call`"),
    ],
)
def test_a_table_that_makes_no_sense_is_one_line(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Envelope.from_table(table)
    assert "\n" not in str(caught.value)


@given(TABLES, st.none() | JSON, st.lists(JSON | st.none(), max_size=4), st.lists(st.integers(0, 100), max_size=4))
def test_any_table_is_a_dialect_or_one_line_and_reads_whatever_comes(
    table: dict[str, Any], params: Any, said: list[Any], places: list[int]
) -> None:
    try:
        envelope = Envelope.from_table(table)
    except UsageError as error:
        assert "\n" not in str(error)
        return
    dialect = envelope(MAX_REPLY, framing="line")
    with suppress(EncodeError):
        sent = dialect.encode_call("m", params, meta=False, plain=False, number=1)
        assert b"$method" not in sent
        json.loads(sent)
    with suppress(RemoteError):
        for piece in cut(b"".join(encode_value(message) + b"\n" for message in said), places):
            dialect.receive(piece)
            while (message := dialect.next_event()) is not None:
                assert isinstance(message, Event | Partial | Reply)
                assert not isinstance(message, Reply) or message.fault is None or message.fault.message is not None


def answering(answers: Callable[[Any], Iterable[object]], first: object = None) -> Callable[[Peer], None]:
    """A server of lines; what it says to each."""

    def serve(peer: Peer) -> None:
        if first is not None:
            say(peer, first)
        for line in peer.sock.makefile("rb"):
            say(peer, *answers(json.loads(line)))

    return serve


def mine(request: Any) -> list[object]:
    head = {"number": request["head"]["number"]}
    match request["head"]["call"]:
        case "help":
            return [{"event": "asked"}, {"head": head, "data": {"calls": [{"name": "add"}, {"name": 1}, "sub", 2]}}]
        case "add":
            return [{"head": head, "data": sum(request["with"])}]
        case "never":
            return []
    return [{"head": head, "problem": {"text": "no such call", "number": 404}}]


def test_calls_errors_and_names(connect: Connect) -> None:
    with serving(answering(mine)) as server, connect(str(server.target), dialect=MINE) as client:
        assert client.call("add", [1, 2]) == 3
        with pytest.raises(CallError, match="no such call") as caught:
            client.call("nope")
        assert caught.value.code == 404
        with pytest.raises(CallTimeout):
            client.call("never", timeout=0.05)
        assert client.call("add", [2]) == 2
        assert server.accepted == 1


def names_of(envelope: Envelope, server: Callable[[Peer], None]) -> list[str]:
    with serving(server) as serves, connect_blocking(str(serves.target), dialect=envelope) as client:
        document = client.describe().document
    return [method["name"] for method in document["methods"]]


def test_names_come_from_a_list_an_object_or_the_table() -> None:
    assert names_of(MINE, answering(mine)) == ["add", "sub"]
    keys = Envelope.from_table({"request": ["$method"], "names": {"method": "help"}, "framing": "line"})
    assert names_of(keys, answering(lambda _: [{"add": 1, "sub": 2}])) == ["add", "sub"]
    fixed = Envelope.from_table({"request": ["$method"], "names": ["add"], "framing": "line"})
    assert names_of(fixed, Peer.wait_for_end) == ["add"]


@pytest.mark.parametrize(
    ("names", "answer", "says"),
    [
        (None, {}, "its dialect has no names"),
        ({"method": "help"}, {"error": "no help"}, "it refuses help: no help"),
        ({"method": "help", "path": "calls"}, {"calls": 5}, "calls in what help returns is no list"),
    ],
)
def test_who_does_not_say_what_it_offers_is_described_as_that(names: Any, answer: object, says: str) -> None:
    envelope = Envelope.from_table({"request": ["$method"], "framing": "line", **({"names": names} if names else {})})
    serve = answering(lambda _: [answer])
    with serving(serve) as server, connect_blocking(str(server.target), dialect=envelope) as client:
        found = client.describe()
    assert found.missing == "unknown"
    assert says in found.reason


def test_what_comes_unasked_is_an_event() -> None:
    with serving(answering(mine)) as server, connect_blocking(str(server.target), dialect=MINE) as client:
        client.describe()
        assert next(client.events(timeout=DEADLINE)) == Event("asked", None)


def suricata(request: Any) -> list[object]:
    if "version" in request:
        good = request["version"] == "0.2"
        return [{"return": "OK"} if good else {"return": "NOK", "message": "old"}]
    return [{"return": "OK", "message": request}]


def test_a_hello_comes_first(connect: Connect) -> None:
    with serving(answering(suricata)) as server, connect(str(server.target), dialect=SURICATA) as client:
        assert client.call("uptime") == {"command": "uptime"}
    old = Envelope(request=SURICATA.request, hello={"version": "0.1"}, reply=SURICATA.reply, framing="line")
    with serving(answering(suricata)) as server, pytest.raises(ConnectionFailed, match="it refuses the hello: old"):
        connect(str(server.target), dialect=old)


def test_a_server_may_greet_and_need_not_answer_a_hello(connect: Connect) -> None:
    greeted = Envelope(request=["$method"], greets=True, hello="hi", hello_reply=False, framing="line")
    server = answering(lambda request: [] if request == "hi" else [request], first={"welcome": 1})
    with serving(server) as serves, connect(str(serves.target), dialect=greeted) as client:
        assert client.call("a") == ["a"]


def flood(peer: Peer) -> None:
    with suppress(OSError):
        while True:
            say(peer, *[{"unilateral": True, "event": "x"}] * 100)


GREETED = Envelope(request=["$method"], greets=True, event=WATCHMAN.event, framing="line")


@pytest.mark.parametrize(
    ("envelope", "server", "says"),
    [
        (SURICATA, Peer.wait_for_end, "it did not answer the hello within 0.2 s (is this its dialect?)"),
        (GREETED, Peer.wait_for_end, "it did not greet within 0.2 s (does it speak first?)"),
        (GREETED, flood, "it did not greet within"),
        (SURICATA, lambda peer: peer.sock.recv(100), "the server closed it without a reply"),
    ],
)
def test_who_never_answers_the_handshake_is_said(
    connect: Connect, envelope: Envelope, server: Callable[[Peer], object], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 0.2 if "within" in says else DEADLINE
    monkeypatch.setattr("rpcshell.client.dialects.envelope.HELLO_TIMEOUT", limit)
    with serving(server) as serves, pytest.raises(ConnectionFailed) as caught:
        connect(str(serves.target), dialect=envelope, connect_timeout=max(limit, 1))
    assert says in str(caught.value)


def test_floods_of_events_leave_the_client_alive(connect: Connect) -> None:
    def pour(request: Any) -> list[object]:
        return [*[{"event": "x"}] * 10_500, {"head": {"number": 10**30}}, *mine(request)]

    with serving(answering(pour)) as server, connect(str(server.target), dialect=MINE) as client:
        assert client.call("add", [1]) == 1
        assert client.call("add", [2]) == 2


def test_requests_without_end_are_said_in_a_line_or_are_events(connect: Connect) -> None:
    def ask(peer: Peer) -> None:
        peer.sock.recv(100)
        with suppress(OSError):
            for number in itertools.count():
                say(peer, {"head": {"call": "you"}, "with": number})

    with serving(ask) as server, connect(str(server.target), dialect=MINE) as client:
        with pytest.raises(CallTimeout):
            client.call("add", [1], timeout=0.2)
        assert client.connected


def test_what_is_no_json_is_said(connect: Connect) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.sock.sendall(b"220 mail.example.org ESMTP\r\n")

    with serving(serve) as server, pytest.raises(ProtocolError, match="is a mail or FTP server"):
        connect(str(server.target), dialect=SURICATA)


def test_a_target_names_a_dialect_or_is_given_one(connect: Connect) -> None:
    with pytest.raises(UsageError, match="names a dialect, and one is given"):
        connect("jsonrpc:127.0.0.1:1", dialect=KEA)
    bare = Envelope(request={"m": "$method"}, framing="line")
    with serving(answering(lambda request: [request])) as server, connect(str(server.target), dialect=bare) as client:
        with pytest.raises(UsageError, match="have no place for params"):
            client.call("a", 1)
        assert client.call("a") == {"m": "a"}
    with serving(answering(lambda request: [request])) as server:
        named = Target.parse(f"bare:{server.target}", {"bare": bare})
        with connect(named, dialect=bare) as client:
            assert client.call("a") == {"m": "a"}
            assert str(client.target) == f"bare:{server.target}"
