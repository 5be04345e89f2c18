"""The exchange without a socket, and another dialect than the native one under both clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, Client, ConnectionLost, ProtocolError, TcpTarget, UsageError
from rpcshell.client.dialects import Ask, Description, Steps
from rpcshell.client.dialects.native import Native
from rpcshell.client.exchange import Dropped, Requester
from rpcwire import ERROR_OUT, MAX_REPLY, Floats, Reply, TruncatedFrame, encode_reply, encode_value, frame
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import Peer, serving
from tests.rpcwire.feeding import cut

TARGET = TcpTarget("127.0.0.1", 1)
GOODBYE = frame(b'{"close":true}')


def requester(*methods: str, sent: bool = True) -> Requester:
    """One with requests under way."""
    made = Requester(TARGET, Native(MAX_REPLY))
    for method in methods:
        made.request(method, None, meta=False, plain=False)
        if sent:
            made.sent()
    return made


def pong(result: object, **keys: bool) -> bytes:
    return frame(encode_reply("pong", result, **keys))  # type: ignore[arg-type]  # any mix of the optional keys


def end_of(made: Requester) -> Dropped | ProtocolError:
    """What whoever waits is told at the end of the stream."""
    end: Dropped | ProtocolError
    try:
        while made.next_reply() is not None:
            pass
        end = made.ended()
    except (Dropped, ProtocolError) as error:
        end = error
    assert not made.reusable
    return end


@given(st.integers(1, 8), st.lists(st.integers(0, 400), max_size=20))
def test_replies_come_in_the_order_of_the_requests_however_they_are_cut(count: int, at: list[int]) -> None:
    made = requester(*["ping"] * count)
    replies: list[object] = []
    for piece in cut(b"".join(pong(number) for number in range(count)), at):
        assert len(replies) == count or not made.reusable
        made.receive(piece)
        while (reply := made.next_reply()) is not None:
            replies.append(reply.result)
    assert replies == list(range(count))
    assert made.reusable


def test_what_cannot_be_sent_leaves_the_connection_as_it_was() -> None:
    made = requester()
    with pytest.raises(UsageError, match="cannot be sent"):
        made.request("ping", float("nan"), meta=False, plain=False)
    assert made.reusable


@pytest.mark.parametrize(
    ("received", "sent", "not_run"),
    [
        (b"", True, False),
        (b"", False, True),
        (GOODBYE, True, True),
        (pong(1)[:7], True, False),
        (pong(1)[:7], False, True),
    ],
)
def test_a_request_has_not_run_where_it_was_not_sent_whole_or_the_server_said_goodbye(
    received: bytes, sent: bool, not_run: bool
) -> None:
    made = requester("ping", sent=sent)
    made.receive(received)
    dropped = end_of(made)
    assert isinstance(dropped, Dropped)
    assert dropped.not_run is not_run


def test_a_goodbye_after_a_reply_tells_what_has_not_run() -> None:
    made = requester("ping", "ping")
    made.receive(pong(1) + GOODBYE)
    reply = made.next_reply()
    assert reply is not None
    assert reply.result == 1
    with pytest.raises(Dropped) as caught:
        made.next_reply()
    assert caught.value.not_run


def test_a_reply_to_a_part_of_a_request_is_heard_and_ends_the_connection() -> None:
    made = requester("ping", sent=False)
    made.receive(pong(1))
    assert made.next_reply() is not None
    assert not made.reusable


@pytest.mark.parametrize(
    ("received", "says"), [(b"HTTP/1.1 400", "an HTTP server"), (frame(b"[]"), "does not answer as an RPC server")]
)
def test_who_speaks_something_else_is_named(received: bytes, says: str) -> None:
    made = requester("ping")
    made.receive(received)
    error = end_of(made)
    assert isinstance(error, ProtocolError)
    assert says in error.message


class Lines:
    """A dialect with lines for frames, ids of its own, discovery by names, and messages that are no replies."""

    listens: ClassVar[Literal[False]] = False

    def __init__(self, max_reply: int, floats: Floats = "float") -> None:
        self._rest = b""
        self._due: dict[int, str] = {}
        self._number = 0

    def describe(self) -> Steps[Description]:
        names = (yield Ask("system.listMethods")).result
        for _ in range(2):
            try:
                yield Ask("not.known", timeout=5)
            except ConnectionLost:
                return Description({"methods": names})
        return Description(missing="unknown")

    @property
    def idle(self) -> bool:
        return not self._due and not self._rest

    @property
    def mid_frame(self) -> bool:
        return bool(self._rest)

    def beginning(self, count: int) -> bytes:
        return self._rest[:count]

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        self._number += 1
        self._due[self._number] = method
        given = {} if params is None else {"params": params}
        return encode_value({"jsonrpc": "2.0", "id": self._number, "method": method, **given}) + b"\n"

    def receive(self, data: bytes) -> None:
        self._rest += data

    def next_event(self) -> Reply | None:
        while b"\n" in self._rest:
            line, _, self._rest = self._rest.partition(b"\n")
            message = json.loads(line)
            if "method" not in message:
                error = message.get("error")
                method = self._due.pop(message["id"])
                return Reply(method, message.get("result")) if error is None else Reply(ERROR_OUT, error)
        return None

    def receive_eof(self) -> None:
        if self._rest:
            raise TruncatedFrame(len(self._rest), None)


def answering(*results: Callable[[Any], Any]) -> Callable[[Peer], None]:
    """A server that answers each line by the next function, and sends a notification before each reply."""

    def serve(peer: Peer) -> None:
        lines = peer.sock.makefile("rb")
        for result in results:
            request = json.loads(lines.readline())
            assert request.keys() <= {"jsonrpc", "id", "method", "params"}
            note = {"jsonrpc": "2.0", "method": "log"}
            reply = {"jsonrpc": "2.0", "id": request["id"], **result(request)}
            peer.sock.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in (note, reply)))
        lines.readline()

    return serve


def test_both_clients_speak_whatever_dialect_they_are_given(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.any_client.AnyClient._dialect", Lines)
    serve = answering(
        lambda request: {"result": request["params"]},
        lambda _: {"error": {"code": -32601, "message": "no such method"}},
        lambda request: {"result": "params" in request},
    )
    with serving(serve) as server, connect(server.target) as client:
        assert client.call("echo", [1, 2]) == [1, 2]
        with pytest.raises(CallError, match="no such method"):
            client.call("other")
        assert client.call("bare") is False
        assert server.accepted == 1


def test_discovery_takes_as_many_requests_as_the_dialect_wants_and_hears_of_their_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rpcshell.client.any_client.AnyClient._dialect", Lines)
    serve = answering(
        lambda _: {"result": ["a", "b"]},
        lambda _: {"error": {"code": -32601, "message": "no such method"}},
    )
    with serving(serve) as server, Client(server.target) as client:
        assert client.describe() == Description({"methods": ["a", "b"]})
