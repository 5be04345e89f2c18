"""Varlink: what services have said, what a hostile one might, and a real one where the extra `peers` is installed."""

from __future__ import annotations

import itertools
import json
import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, CallTimeout, ProtocolError, TcpTarget, UsageError, detect
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Event, Partial, Tell
from rpcshell.client.dialects.varlink import Varlink
from rpcshell.client.dialogue import Dialogue
from rpcshell.line.catalog import Catalog
from rpcshell.shell.session import Session
from rpcwire import ERROR_OUT, MAX_REPLY, RemoteError, Reply, encode_value
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.peers import DEADLINE, Peer, serving
from tests.rpcshell.varlink_peer import DEFINITION, music, needs_varlink
from tests.rpcwire.feeding import cut, single_bytes

CALLS = ("a.b.Get", "a.b.List", "a.b.Watch:more", "a.b.Nope")
EXPECTED_MORE = {"error": "org.varlink.service.ExpectedMore", "parameters": {}}
RECORDED = b"".join(
    encode_value(message) + b"\0"
    for message in (
        {"parameters": {"uid": 0, "name": "\0 is escaped"}},
        EXPECTED_MORE,
        {"continues": True, "parameters": {"n": 1}},
        {"continues": False, "parameters": {"n": 2}},
        {"error": "org.varlink.service.MethodNotFound", "parameters": {"method": "Nope"}},
        {"continues": True, "parameters": {"m": 1}},
        {},
    )
)
MEANT = [
    Reply("parameters", {"uid": 0, "name": "\0 is escaped"}, 1),
    Tell(b'{"method":"a.b.List","parameters":{"x":1},"more":true}\0'),
    Partial({"n": 1}, 3),
    Reply("parameters", {"n": 2}, 3),
    Reply(ERROR_OUT, {"code": -32601, "message": "org.varlink.service.MethodNotFound", "data": {"method": "Nope"}}, 4),
    Partial({"m": 1}, 2),
    Reply("parameters", None, 2),
]


def heard(pieces: Iterable[bytes], calls: Iterable[str] = CALLS) -> list[Any]:
    dialect = Varlink(MAX_REPLY)
    for number, method in enumerate(calls, 1):
        dialect.encode_call(method, {"x": 1}, meta=False, plain=False, number=number)
    return said(dialect, *pieces)


@given(st.lists(st.integers(0, len(RECORDED))))
def test_what_a_service_says_means_the_same_however_it_is_cut(places: list[int]) -> None:
    assert heard(cut(RECORDED + b'{"param', places)) == MEANT


def test_what_a_service_says_means_the_same_byte_by_byte() -> None:
    assert heard(single_bytes(RECORDED + b'{"param')) == MEANT


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
KEYS = st.sampled_from(["parameters", "error", "continues", "more", "method"])
ERRORS = st.sampled_from([EXPECTED_MORE, {"error": ""}, {"error": "a.b.C", "parameters": [1]}])
MESSAGES = st.dictionaries(KEYS, VALUES, max_size=4) | VALUES | ERRORS


@given(st.lists(MESSAGES, max_size=6), st.lists(st.integers(0, 300), max_size=5), st.booleans())
def test_whatever_comes_is_for_a_call_or_breaks_the_rules(messages: list[object], at: list[int], oneway: bool) -> None:
    stream = b"".join(encode_value(message) + b"\0" for message in messages)
    with suppress(RemoteError):
        for message in heard(cut(stream, at), ["a.b.C:oneway"] * oneway + ["a.b.C", "a.b.D"]):
            assert isinstance(message, Event | Reply | Partial | Tell)
            assert not isinstance(message, Reply) or message.fault is None or message.fault.message is not None


def test_calls_have_flags_and_parameters_by_name_or_none() -> None:
    dialect = Varlink(MAX_REPLY)

    def sent(method: str, params: object) -> list[Any]:
        data = dialect.encode_call(method, params, meta=False, plain=False, number=1)
        return [json.loads(call) for call in data.split(b"\0")[:-1]]

    assert sent("a.b.C", None) == [{"method": "a.b.C"}]
    assert sent("a.b.C:more", {}) == [{"method": "a.b.C", "parameters": {}, "more": True}]
    fence = {"method": "org.varlink.service.GetInfo"}
    assert sent("a.b.C:oneway", {"a": 1}) == [{"method": "a.b.C", "parameters": {"a": 1}, "oneway": True}, fence]


def test_a_call_without_a_reply_is_over_once_it_is_sent_and_takes_nobodys_reply() -> None:
    came: list[Any] = []
    made = Dialogue(TcpTarget("h", 1), Varlink(MAX_REPLY), came.append)

    def hand_out() -> list[Any]:
        for give, what in made.arrived():
            give(what)
        taken, came[:] = list(came), []
        return taken

    made.call("a.b.C:oneway", None, came.append, meta=False, plain=False)
    assert hand_out() == []
    made.sent(len(made.unsent))
    assert hand_out() == [Reply("sent", id=1)]
    made.call("a.b.D", None, came.append, meta=False, plain=False)
    # It should not have said anything about the first one.
    made.receive(b'{"error":"a.b.E","parameters":{"f":1}}\0{"parameters":{"interfaces":[]}}\0{"parameters":{"d":1}}\0')
    assert hand_out() == [Event("a.b.E", {"f": 1}), Reply("parameters", {"d": 1}, 2)]


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": "org.varlink.service.MethodNotImplemented", "parameters": {}},
        {"error": "org.varlink.service.MethodNotFound", "parameters": {"method": "GetInfo"}},
        {"error": "org.varlink.service.InterfaceNotFound", "parameters": {"interface": "org.varlink.service"}},
    ],
)
def test_a_service_that_does_not_tell_of_itself_takes_calls_without_a_reply(refusal: dict[str, Any]) -> None:
    pieces = [encode_value(refusal) + b"\0", b'{"parameters":{"d":1}}\0']
    assert heard(pieces, ["a.b.C:oneway", "a.b.D"]) == [Reply("sent", id=1), Reply("parameters", {"d": 1}, 2)]


def served(*interfaces: str, **answers: Callable[[Peer], object]) -> Callable[[Peer], None]:
    """A service of these interfaces that answers some calls as it is told, and others with what they were."""

    def serve(peer: Peer) -> None:
        for call in taken_from("nul", lambda: peer.sock.recv(65536)):
            name = call["method"].rpartition(".")[2]
            if name in answers:
                answers[name](peer)
            elif name == "GetInfo":
                say(peer, {"parameters": {"product": "p", "version": "1", "interfaces": list(interfaces)}})
            else:
                say(peer, {"parameters": call})

    return serve


def say(peer: Peer, *messages: object) -> None:
    peer.sock.sendall(b"".join(encode_value(message) + b"\0" for message in messages))


def forever(message: object) -> Callable[[Peer], object]:
    data = (encode_value(message) + b"\0") * 100

    def pour(peer: Peer) -> None:
        with suppress(OSError):
            while True:
                peer.sock.sendall(data)

    return pour


def test_a_call_that_is_given_up_ends_the_connection_and_the_next_makes_one(connect: Connect) -> None:
    with serving(served(Hang=lambda peer: None)) as server, connect(f"varlink:{server.target}") as client:
        with pytest.raises(UsageError, match="parameters go by name"):
            client.call("a.b.C", [1])
        with pytest.raises(CallTimeout):
            client.call("a.b.Hang", timeout=0.05)
        assert client.call("a.b.C") == {"method": "a.b.C"}
        assert server.accepted == 2


@pytest.mark.samples(2)
@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"GetInfo": lambda peer: None}, "it did not say within 0.2 s what it offers"),
        ({"GetInterfaceDescription": lambda peer: None}, "it did not say within 0.2 s what it offers"),
        ({"GetInfo": lambda peer: say(peer, {"error": "a.b.No"})}, "it refuses org.varlink.service.GetInfo: a.b.No"),
        ({"GetInfo": lambda peer: say(peer, {"parameters": {"interfaces": 5}})}, "has another form than it should"),
        ({"GetInfo": lambda peer: say(peer, {"parameters": None})}, "has another form than it should"),
        ({"GetInfo": forever({"continues": True})}, "it did not say within 0.2 s what it offers"),
        ({"GetInfo": forever({"method": "you.are.Asked"})}, "a service makes no calls"),
    ],
)
def test_a_service_that_does_not_tell_what_it_offers_is_said_in_a_line_and_called_all_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Callable[[Peer], object]], reason: str
) -> None:
    if "0.2 s" in reason:
        monkeypatch.setattr("rpcshell.client.dialects.varlink.QUESTION_TIMEOUT", 0.2)
    notes: queue.SimpleQueue[str] = queue.SimpleQueue()
    session.on_note(notes.put)
    with serving(served("a.b", **answers)) as server:
        session.connect(f"varlink:{server.target}")
        assert session.method("a.b.C") is None
        note = notes.get(timeout=DEADLINE)
        assert reason in note
        assert "\n" not in note
        assert session.call("a.b.C").result == {"method": "a.b.C"}
        session.close()
        assert notes.empty()


def test_floods_of_parts_are_handed_on_and_replies_nobody_waits_for_end_the_connection(connect: Connect) -> None:
    def pour(peer: Peer) -> None:
        say(peer, *[{"continues": True, "parameters": {}}] * 10_500, {"parameters": {}})

    def twice(peer: Peer) -> None:
        say(peer, {"parameters": {}}, {"parameters": {}})

    with serving(served(Pour=pour, Twice=twice)) as server, connect(f"varlink:{server.target}") as client:
        parts: list[Any] = []
        client.call("a.b.Pour", partial=parts.append)
        assert len(parts) == 10_500
        client.call("a.b.Twice")
        assert client.call("a.b.C") == {"method": "a.b.C"}


def test_an_interface_that_is_refused_or_has_no_name_is_left_out() -> None:
    def describe(peer: Peer) -> None:
        say(peer, next(answers))

    answers = iter([{"error": "a.b.No"}, {"parameters": {"description": "interface c.d\nmethod E() -> ()"}}])
    server_of = served("a.b", "c.d", "../e", GetInterfaceDescription=describe)
    with serving(server_of) as server, connect_blocking(f"varlink:{server.target}") as client:
        assert list(Catalog.from_openrpc(client.describe().document).methods) == ["c.d.E", "c.d.E:more"]


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    with music() as target:
        yield target


@needs_varlink
def test_a_real_service_is_described_called_and_refuses(connect: Connect, real: str) -> None:
    with connect(real) as client:
        assert client.call("org.example.music.Play", {"track": {"title": "a", "tags": {}}}) == {"playing": "a None"}
        with pytest.raises(CallError, match=r"org\.example\.music\.NoSuchTrack") as caught:
            client.call("org.example.music.Play", {"track": {"title": "none", "tags": {}}})
        assert (caught.value.code, caught.value.data) == (-32000, {"title": "none"})
        with pytest.raises(CallError, match=r"org\.varlink\.service\.MethodNotFound") as caught:
            client.call("org.example.music.Nope")
        assert caught.value.code == -32601
        with pytest.raises(CallError, match="InvalidParameter") as caught:
            client.call("org.example.music.Watch", {"count": "x"})
        assert caught.value.code == -32602
    with connect_blocking(real) as blocking:
        catalog = Catalog.from_openrpc(blocking.describe().document)
        assert blocking.call("org.varlink.service.GetInterfaceDescription", {"interface": "org.example.music"}) == {
            "description": DEFINITION
        }
    assert (catalog.title, catalog.version) == ("music", "2.1")
    assert "org.varlink.service.GetInfo" in catalog.methods


@needs_varlink
def test_a_real_service_is_found_out(real: str) -> None:
    assert str(detect(real.removeprefix("varlink:"))) == real


@needs_varlink
@pytest.mark.parametrize("flag", ["", ":more"])
def test_a_real_service_is_asked_for_more_by_itself_or_because_it_is_said(
    connect: Connect, real: str, flag: str
) -> None:
    with connect(real) as client:
        parts: list[Any] = []
        assert client.call(f"org.example.music.Watch{flag}", {"count": 2}, partial=parts.append) == {"position": 2}
        assert parts == [{"position": 0}, {"position": 1}]


@needs_varlink
def test_a_real_service_that_answers_what_it_should_not_keeps_its_turns(connect: Connect, real: str) -> None:
    with connect(real) as client:
        for number in itertools.islice(itertools.count(), 3):
            assert client.call("org.example.music.Nope:oneway") is None
            reply = client.call("org.example.music.Play", {"track": {"title": f"{number}", "tags": {}}})
            assert reply == {"playing": f"{number} None"}


def test_what_a_service_asks_of_its_client_breaks_the_rules(connect: Connect) -> None:
    asks = served(Ask=lambda peer: say(peer, {"method": "x.y.Z"}))
    with serving(asks) as server, connect(f"varlink:{server.target}") as client:
        with pytest.raises(ProtocolError, match="a service makes no calls"):
            client.call("a.b.Ask", timeout=DEADLINE)
        assert client.call("a.b.C") == {"method": "a.b.C"}


@pytest.mark.parametrize(
    ("first", "known"),
    [
        (b'{"parameters":{"vendor":"","product":"","version":"","url":"","interfaces":["a.b"]}}\0', True),
        (b'{"error":"org.varlink.service.MethodNotFound","parameters":{}}\0', True),
        (b'{"parameters":{"interfaces":["a.b"]}}', False),
        (b'{"parameters":[]}\0', False),
        (b'{"error":{"code":-32601}}\0', False),
        (b"[]\0", False),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
    ],
)
def test_a_service_is_told_by_its_first_words(first: bytes, known: bool) -> None:
    assert (Varlink.recognises(first, Varlink.guesses[0]) is not None) == known
