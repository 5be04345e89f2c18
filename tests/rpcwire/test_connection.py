from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcwire import (
    GOODBYE,
    ClientConnection,
    ConnectionClosing,
    EncodeError,
    FrameDecoder,
    FrameTooLarge,
    Goodbye,
    ParseError,
    Reply,
    TruncatedFrame,
    UnexpectedReply,
    decode_request,
    encode_reply,
    frame,
)
from tests.rpcwire.feeding import cut, decode


def reply(result: object, **keys: bool | int) -> bytes:
    return frame(encode_reply("pong", result, **keys))  # type: ignore[arg-type] # any mix of the optional keys


def events(connection: ClientConnection) -> list[Reply | Goodbye]:
    taken = []
    while (event := connection.next_event()) is not None:
        taken.append(event)
    return taken


def connection_with(outstanding: int) -> ClientConnection:
    connection = ClientConnection()
    for number in range(outstanding):
        connection.request("ping", number, id=number)
    return connection


def test_a_request_is_one_whole_frame() -> None:
    data = ClientConnection().request("ping", {"a": 1}, id=7, meta=True, close=True)
    (body,) = decode(FrameDecoder(), [data])
    request = decode_request(body)
    assert (request.method, request.id, request.meta, request.close) == ("ping", 7, True, True)


def test_a_request_that_cannot_be_written_is_not_outstanding() -> None:
    connection = ClientConnection()
    with pytest.raises(EncodeError):
        connection.request("ping", object())
    assert connection.outstanding == 0


@given(st.integers(1, 12), st.lists(st.integers(0, 1000), max_size=20))
def test_replies_pair_with_requests_in_order_however_they_are_cut(count: int, at: list[int]) -> None:
    connection = connection_with(count)
    answers = b"".join(reply(number, id=number) for number in range(count))
    taken: list[Reply | Goodbye] = []
    for piece in cut(answers, at):
        connection.receive(piece)
        taken += events(connection)
    assert taken == [Reply("pong", number, number) for number in range(count)]
    assert connection.outstanding == 0
    connection.receive_eof()


def test_a_server_that_knows_no_ids_is_paired_by_order() -> None:
    connection = connection_with(2)
    connection.receive(reply("a") + reply("b"))
    assert events(connection) == [Reply("pong", "a"), Reply("pong", "b")]


def test_the_answer_to_another_request_is_refused() -> None:
    connection = connection_with(2)
    connection.receive(reply("late", id=1))
    with pytest.raises(UnexpectedReply, match="another request"):
        connection.next_event()


def test_a_reply_that_nobody_asked_for_is_refused() -> None:
    connection = ClientConnection()
    connection.receive(reply("hello"))
    with pytest.raises(UnexpectedReply, match="no request"):
        connection.next_event()


def test_close_on_a_reply_leaves_the_rest_unexecuted() -> None:
    connection = connection_with(3)
    connection.receive(reply("a", id=0, close=True))
    assert events(connection) == [Reply("pong", "a", 0, close=True)]
    assert connection.closing
    assert connection.outstanding == 2
    with pytest.raises(ConnectionClosing):
        connection.request("ping")
    connection.receive_eof()


@pytest.mark.parametrize("outstanding", [0, 1])
def test_a_goodbye_answers_no_request(outstanding: int) -> None:
    connection = connection_with(outstanding)
    connection.receive(GOODBYE + b"whatever")
    assert events(connection) == [Goodbye()]
    assert connection.closing
    assert connection.outstanding == outstanding


def test_eof_inside_a_reply_is_told() -> None:
    connection = connection_with(1)
    connection.receive(reply("a")[:-1])
    assert connection.next_event() is None
    assert connection.mid_frame
    with pytest.raises(TruncatedFrame):
        connection.receive_eof()


def test_a_reply_over_the_limit_is_refused() -> None:
    connection = ClientConnection(max_frame=10)
    connection.request("ping")
    connection.receive(reply("a" * 100))
    with pytest.raises(FrameTooLarge):
        connection.next_event()


def test_bad_content_costs_its_own_request_and_no_other() -> None:
    connection = connection_with(2)
    connection.receive(frame(b"nonsense") + reply("b", id=1))
    with pytest.raises(ParseError):
        connection.next_event()
    assert connection.outstanding == 1
    assert events(connection) == [Reply("pong", "b", 1)]
