"""OVSDB: what ovsdb-server 3.1 has said, what a hostile one might, and a real one where it is installed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, CallTimeout, UsageError, detect
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Event, ServerRequest, Stray
from rpcshell.client.dialects.ovsdb import Ovsdb
from rpcshell.line.catalog import Catalog
from rpcshell.shell.questions import MANY, Questions
from rpcshell.shell.session import Session
from rpcwire import ERROR_OUT, MAX_REPLY, RemoteError, Reply, encode_value
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.ovsdb_peer import Database, database, needs_ovsdb
from tests.rpcshell.peers import DEADLINE, Peer, serving
from tests.rpcwire.feeding import cut, single_bytes

RECORDED = (
    b'{"id":1,"result":["Open_vSwitch","_Server"],"error":null}{"id":2,"error":"unknown method"}'
    b'{"id":"echo","method":"echo","params":[]}'
    b'{"id":3,"error":{"syntax":"[\\"x\\"]","details":"no database x","error":"unknown database"}}'
    b'{"id":4,"result":[{"uuid":["uuid","9a"]},{"details":"No table named Nope.","error":"syntax error"}],"error":null}'
    b'{"id":null,"method":"update","params":["mon1",{"Open_vSwitch":{"9a":{"new":{"bridges":["set",[]]}}}}]}'
    b'{"id":5,"result":[{"error":"is no transaction"}],"error":null}'
    b'{"id":6,"result":[{},null,{"error":"timed out"},{"error":"x"}],"error":null}'
    b'{"id":7,"result":[{},{"error":"constraint violation"}],"error":null}'
)
MEANT = [
    Reply("result", ["Open_vSwitch", "_Server"], 1),
    Reply(ERROR_OUT, {"code": -32601, "message": "unknown method"}, 2),
    ServerRequest("echo", [], "echo", keep_alive=True),
    Reply(ERROR_OUT, {"code": -32000, "message": "unknown database: no database x", "data": {"syntax": '["x"]'}}, 3),
    Reply(ERROR_OUT, {"code": -32000, "message": "operation 2: syntax error: No table named Nope."}, 4),
    Event("update", ["mon1", {"Open_vSwitch": {"9a": {"new": {"bridges": ["set", []]}}}}]),
    Reply("result", [{"error": "is no transaction"}], 5),
    Reply(ERROR_OUT, {"code": -32000, "message": "operation 3: timed out"}, 6),
    Reply(ERROR_OUT, {"code": -32000, "message": "commit: constraint violation"}, 7),
]
CALLS = ("list_dbs", "nope", "get_schema", "transact 2", "echo", "transact 3", "transact 1")


def heard(pieces: Iterable[bytes]) -> list[Any]:
    dialect = Ovsdb(MAX_REPLY)
    for number, call in enumerate(CALLS, 1):
        method, _, operations = call.partition(" ")
        params = ["db", *[{}] * int(operations or 0)]
        dialect.encode_call(method, params, meta=False, plain=False, number=number)
    return said(dialect, *pieces)


@given(st.lists(st.integers(0, len(RECORDED))))
def test_what_a_server_says_means_the_same_however_it_is_cut(places: list[int]) -> None:
    assert heard(cut(RECORDED + b' {"id', places)) == MEANT


def test_what_a_server_says_means_the_same_byte_by_byte() -> None:
    assert heard(single_bytes(RECORDED + b' {"id')) == MEANT


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
KEYS = st.sampled_from(["result", "error", "method", "id", "params", "details", "echo", "update"])
INNER = VALUES | st.dictionaries(KEYS, VALUES, max_size=2) | st.lists(st.dictionaries(KEYS, VALUES, max_size=2))
MESSAGES = st.dictionaries(KEYS, INNER | st.sampled_from(["echo", 4, 6]), max_size=4)


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 300), max_size=5))
def test_whatever_comes_is_a_message_or_breaks_the_rules(messages: list[object], places: list[int]) -> None:
    stream = b"".join(encode_value(message) for message in messages)
    with suppress(RemoteError):
        for message in heard(cut(stream, places)):
            assert isinstance(message, Event | Reply | ServerRequest | Stray)
            assert not isinstance(message, Reply) or message.fault is None or message.fault.message is not None


def served(**answers: Callable[[Peer, Any], object]) -> Callable[[Peer], None]:
    """A server that answers some methods as it is told, and others with what it was asked."""

    def serve(peer: Peer) -> None:
        for request in taken_from("stream", lambda: peer.sock.recv(65536)):
            # Others end the connection, as a real one does.
            assert request.keys() == {"method", "params", "id"} or request.keys() == {"result", "error", "id"}
            if (method := request.get("method")) is not None:
                answers.get(method, answer)(peer, request)

    return serve


def say(peer: Peer, *messages: object) -> None:
    peer.sock.sendall(b"".join(encode_value(message) for message in messages))


def answer(peer: Peer, request: Any) -> None:
    say(peer, {"result": request, "error": None, "id": request["id"]})


def silent(peer: Peer, request: Any) -> None:
    pass


def forever(message: object) -> Callable[[Peer, Any], object]:
    data = encode_value(message) * 100

    def pour(peer: Peer, request: Any) -> None:
        with suppress(OSError):
            while True:
                peer.sock.sendall(data)

    return pour


def test_requests_have_a_list_of_params_and_nothing_else_and_cancel_is_none(connect: Connect) -> None:
    cancelled: list[Any] = []
    with (
        serving(served(cancel=lambda peer, request: cancelled.append(request), wait=silent)) as server,
        connect(f"ovsdb:{server.target}") as client,
    ):
        assert client.call("list_dbs") == {"method": "list_dbs", "params": [], "id": 1}
        with pytest.raises(UsageError, match="by position, as a list"):
            client.call("get_schema", {"db": "x"})
        with pytest.raises(CallTimeout):
            client.call("wait", timeout=0.05)
        assert client.call("cancel", [7]) is None
        assert client.call("echo", [1])["params"] == [1]
        assert cancelled == [
            {"method": "cancel", "params": [2], "id": None},
            {"method": "cancel", "params": [7], "id": None},
        ]


ECHO: dict[str, Any] = {"id": "echo", "method": "echo", "params": []}
UPDATE: dict[str, Any] = {"id": None, "method": "update", "params": [None, {}]}


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"list_dbs": silent}, "it did not say within 0.2 s what it offers"),
        ({"list_dbs": forever(ECHO)}, "it did not say within 0.2 s what it offers"),
        ({"list_dbs": forever(UPDATE)}, "it did not say within 0.2 s what it offers"),
        ({"list_dbs": lambda peer, request: say(peer, {"error": "no", "id": request["id"]})}, "refuses list_dbs: no"),
        ({}, "has another form than it should"),
    ],
)
def test_a_server_that_does_not_tell_what_it_offers_is_said_in_a_line_and_called_all_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Callable[[Peer, Any], object]], reason: str
) -> None:
    if "0.2 s" in reason:
        monkeypatch.setattr("rpcshell.client.dialects.ovsdb.QUESTION_TIMEOUT", 0.2)
    notes: list[str] = []
    session.on_note(notes.append)
    with serving(served(**answers), served()) as server:
        session.connect(f"ovsdb:{server.target}")
        assert session.method("x") is None
        assert [reason in note and "\n" not in note for note in notes] == [True]
        session.hang_up(wait=True)
        assert session.call("x").result["method"] == "x"
        session.close()


def test_floods_of_events_and_of_requests_leave_the_client_alive(connect: Connect) -> None:
    def pour(peer: Peer, request: Any) -> None:
        say(peer, *[UPDATE] * 10_000, *[ECHO] * 1_000, {"id": 1, "method": "who.are.you", "params": []})
        answer(peer, request)

    with serving(served(pour=pour)) as server, connect(f"ovsdb:{server.target}") as client:
        assert client.call("pour", timeout=DEADLINE)["method"] == "pour"
        assert client.call("b")["method"] == "b"


def test_a_server_hears_that_its_client_is_there_and_one_that_asks_without_end_is_said() -> None:
    echoed: list[Any] = []

    def pour(peer: Peer, request: Any) -> None:
        say(peer, *[ECHO] * MANY, {"id": 1, "method": "steal", "params": []})
        answer(peer, request)

    def refuse(request: ServerRequest) -> Any:
        raise CallError("not mine", code=-1)

    def serve(peer: Peer) -> None:
        for message in taken_from("stream", lambda: peer.sock.recv(65536)):
            if message.get("method") == "pour":
                pour(peer, message)
            else:
                echoed.append(message)
                if message["id"] == 1:
                    over.set()

    over = threading.Event()
    notes: list[str] = []
    with serving(serve) as server, connect_blocking(f"ovsdb:{server.target}") as client:
        client.on_request(refuse)
        Questions(lambda _: None, notes.append).listen(client.hearing())
        client.call("pour", timeout=DEADLINE)
        assert over.wait(DEADLINE)
    assert [message["result"] for message in echoed if message["id"] == "echo"] == [[]] * MANY
    assert [message["error"]["message"] for message in echoed if message["id"] == 1] == ["not mine"]
    assert notes == ["the server asks without end (echo, 1,000 times by now); its dialect answers"]


@pytest.mark.parametrize(
    ("first", "known"),
    [
        (b'{"id":1,"result":["Open_vSwitch","_Server"],"error":null}', True),
        (b'{"id":1,"result":["Open_vS', False),
        (b'{"id":1,"error":"unknown method"}', False),
        (b"{}[]", False),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
    ],
)
def test_a_server_is_told_by_the_names_of_its_databases(first: bytes, known: bool) -> None:
    assert (Ovsdb.recognises(first, Ovsdb.guesses[0]) is not None) == known


@pytest.fixture(scope="module")
def real() -> Iterator[Database]:
    with database() as targets:
        yield targets


def update(name: str) -> list[Any]:
    row = {"external_ids": ["map", [["k", name]]]}
    return ["Open_vSwitch", {"op": "update", "table": "Open_vSwitch", "where": [], "row": row}]


@needs_ovsdb
def test_a_real_server_runs_transactions_and_refuses(connect: Connect, real: Database) -> None:
    for target in real:
        with connect(target) as client:
            assert "Open_vSwitch" in client.call("list_dbs")
            assert client.call("transact", update("a")) == [{"count": 1}]
            another = {"op": "insert", "table": "Open_vSwitch", "row": {}}
            with pytest.raises(CallError, match="commit: constraint violation: "):
                client.call("transact", ["Open_vSwitch", another])
            with pytest.raises(CallError, match=r"operation 1: syntax error: Parsing .* No table named Nope"):
                client.call("transact", ["Open_vSwitch", {"op": "select", "table": "Nope", "where": []}])
            with pytest.raises(CallError, match=r"unknown database: .*Nope"):
                client.call("get_schema", ["Nope"])
            with pytest.raises(CallError, match="unknown method") as caught:
                client.call("nope")
            assert caught.value.code == -32601


@needs_ovsdb
def test_a_real_server_tells_what_changes_and_is_asked_to_end_what_waits(real: Database) -> None:
    never: dict[str, Any] = {"op": "wait", "table": "Open_vSwitch", "where": [], "columns": ["external_ids"]}
    never |= {"until": "==", "rows": [{"external_ids": ["map", [["never", "x"]]]}]}
    with connect_blocking(real.unix) as client:
        client.call("monitor", ["Open_vSwitch", ["m", 1], {"Open_vSwitch": {"columns": ["external_ids"]}}])
        client.call("transact", update("b"))
        event = next(iter(client.events(timeout=DEADLINE)))
        assert (event.name, event.params[0]) == ("update", ["m", 1])
        for _ in range(2):
            with pytest.raises(CallTimeout):
                client.call("transact", ["Open_vSwitch", never], timeout=0.1)
        assert client.call("echo", [1]) == [1]
        assert client.connections == 1


@needs_ovsdb
def test_a_real_server_is_found_out(real: Database) -> None:
    for target in real:
        assert str(detect(target.removeprefix("ovsdb:"))) == target


@needs_ovsdb
def test_a_real_schema_is_offered_down_to_the_values_of_enums(real: Database) -> None:
    with connect_blocking(real.unix) as client:
        catalog = Catalog.from_openrpc(client.describe().document)
        assert (catalog.title, catalog.version.split(".")[0]) == ("Open_vSwitch", "8")
        for name, method in catalog.methods.items():
            assert method.signature
            if not method.params:
                client.call(name)
