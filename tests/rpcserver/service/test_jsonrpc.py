"""JSON-RPC 2.0 requests in, framed replies out; the examples of its specification (section 7) first."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver import Context, Peer, RpcError, Service
from rpcserver.service.access import LoggedDispatcher
from rpcserver.service.dispatch import Dispatcher
from rpcserver.service.envelopes import BatchReplies
from rpcserver.system.scoreboard import ANSWERED, ERRORS, STARTED, Scoreboard, SlotBoard
from rpcwire import MAX_REPLY
from tests.rpcserver.calling import RUNNER, WORKER

service = Service("test")


@service.method
def subtract(minuend: int, subtrahend: int) -> int:
    return minuend - subtrahend


@service.method(name="sum")
def total(params: list[int]) -> int:
    return sum(params)


@service.method
def get_data() -> list[Any]:
    return ["hello", 5]


@service.method
def update(params: Any) -> None:
    return None


@service.method
async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value


@service.method
def whom(context: Context) -> str:
    return context.peer.address


@service.method
def broken() -> None:
    raise RpcError("no stock", data={"left": 0})


@service.method
def failing() -> None:
    raise KeyError("secret")


class Talk:
    """One connection's requests, answered by a dispatcher that blocks, or by one on an event loop."""

    def __init__(self, kind: type[Dispatcher] = Dispatcher) -> None:
        self.board = SlotBoard.private()
        self.dispatcher = kind(service, WORKER, runner=RUNNER, board=self.board)
        self.peer = Peer("192.0.2.7:4711")

    def say(self, body: str | bytes, *, close: bool = False) -> Any:
        """The reply, or None where there is none."""
        raw = body.encode() if isinstance(body, str) else body
        frame = self.dispatcher.answer(raw, self.peer, close)
        if not frame:
            return None
        assert int.from_bytes(frame[:4], "little") == len(frame) - 4
        return json.loads(frame[4:])

    def say_on_loop(self, body: str | bytes, *, close: bool = False) -> Any:
        raw = body.encode() if isinstance(body, str) else body
        frame = asyncio.run(self.dispatcher.answer_async(raw, self.peer, close))
        return json.loads(frame[4:]) if frame else None


@pytest.fixture(params=["say", "say_on_loop"])
def say(request: pytest.FixtureRequest) -> Any:
    return getattr(Talk(), request.param)


def good(identity: Any, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": result, "id": identity}


def code(reply: dict[str, Any]) -> tuple[int, Any]:
    assert set(reply) == {"jsonrpc", "error", "id"}
    assert reply["error"]["message"]
    return reply["error"]["code"], reply["id"]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', good(1, 19)),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}', good(3, 19)),
        ('{"jsonrpc": "2.0", "method": "get_data", "id": "9"}', good("9", ["hello", 5])),
        ('{"jsonrpc": "2.0", "method": "get_data", "params": null, "id": null}', good(None, ["hello", 5])),
        ('{"jsonrpc": "2.0", "method": "later", "params": [7], "id": 1.50}', good(1.5, 7)),
        (
            '{"jsonrpc": "2.0", "method": "whom", "id": 12345678901234567890123}',
            good(12345678901234567890123, "192.0.2.7:4711"),
        ),
        ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
        ('{"jsonrpc": "2.0", "method": "foobar"}', None),
        ('{"jsonrpc": "2.0", "method": "failing"}', None),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": ["no"]}', None),
    ],
)
def test_a_request_is_answered_and_a_notification_is_not(say: Any, request_: str, reply: Any) -> None:
    assert say(request_) == reply


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', (-32601, "1")),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [1], "id": 2}', (-32602, 2)),
        ('{"jsonrpc": "2.0", "method": "failing", "id": 2}', (-32603, 2)),
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', (-32600, None)),
        ('{"jsonrpc": "2.0", "method": 1, "id": 4}', (-32600, 4)),
        ('{"jsonrpc": "2.0", "method": "update", "params": 7, "id": 4}', (-32600, 4)),
        ('{"jsonrpc": "2.0", "id": 4}', (-32600, 4)),
        ('{"jsonrpc": "1.0", "method": "update", "id": 4}', (-32600, 4)),
        ('{"jsonrpc": "2.0", "method": "update", "id": {}}', (-32600, None)),
        ('{"jsonrpc": "2.0", "method": "update", "id": true}', (-32600, None)),
    ],
)
def test_what_is_wrong_is_told_with_the_id_where_there_is_one(say: Any, request_: str, error: Any) -> None:
    assert code(say(request_)) == error


def test_an_error_of_the_app_keeps_its_data(say: Any) -> None:
    error = say('{"jsonrpc": "2.0", "method": "broken", "id": 1}')["error"]
    assert error == {"code": -32000, "message": "no stock", "data": {"left": 0}}


def test_a_batch_is_answered_as_one(say: Any) -> None:
    replies = say("""[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "later", "params": [3], "id": "9"},
        [{"jsonrpc": "2.0", "method": "get_data", "id": 1}],
        1
    ]""")
    assert replies[:2] == [good("1", 7), good("2", 19)]
    assert replies[4] == good("9", 3)
    assert [code(reply) for reply in [*replies[2:4], *replies[5:]]] == [
        (-32600, None),
        (-32601, "5"),
        (-32600, None),
        (-32600, None),
    ]


def test_a_batch_of_notifications_is_not_answered(say: Any) -> None:
    assert say('[{"jsonrpc": "2.0", "method": "update"}, {"jsonrpc": "2.0", "method": "failing"}]') is None


@pytest.mark.parametrize(
    ("body", "error"),
    [("[]", -32600), ("[1,2]", [-32600] * 2), ("{bad", -32700), ("[{]", -32700), ('{"x": 1}', -32600)],
)
def test_who_speaks_it_is_told_in_it_what_cannot_be_read(body: str, error: Any) -> None:
    talk = Talk()
    assert talk.say(body if isinstance(error, int) else "[]")["out"] == "error"
    talk.say('{"jsonrpc": "2.0", "method": "update"}')
    reply = talk.say(body)
    assert ([one["error"]["code"] for one in reply] if isinstance(error, list) else code(reply)[0]) == error
    assert talk.say('{"in": "get_data"}') == {"out": "get_data", "result": ["hello", 5]}


def test_meta_and_close_go_to_those_who_ask(say: Any) -> None:
    asked = say('{"jsonrpc": "2.0", "method": "get_data", "id": 1, "meta": true, "close": true}', close=True)
    assert asked["meta"]["worker"] == WORKER.worker
    assert asked["close"] is True
    assert say('{"jsonrpc": "2.0", "method": "get_data", "id": 1}', close=True) == good(1, ["hello", 5])
    assert say('{"jsonrpc": "2.0", "method": "update", "close": true}', close=True) == {"close": True}
    assert say('[{"jsonrpc": "2.0", "method": "get_data", "id": 1}]', close=True) == [
        good(1, ["hello", 5]) | {"close": True}
    ]


def test_calls_of_a_batch_are_counted_one_by_one() -> None:
    talk = Talk()
    talk.say('[{"jsonrpc": "2.0", "method": "update"}, {"jsonrpc": "2.0", "method": "failing"}, [], 1]')
    cells = talk.board.cells
    assert (cells[STARTED], cells[ANSWERED], cells[ERRORS]) == (3, 3, 2)
    talk.say('[[], ["jsonrpc"]]')
    assert (cells[STARTED], cells[ANSWERED]) == (3, 3)


def test_the_first_call_of_a_connection_is_counted_by_its_method_as_those_after_it_are() -> None:
    scoreboard = Scoreboard(1, methods=True)
    dispatcher = Dispatcher(
        service, WORKER, runner=RUNNER, board=scoreboard.slot(scoreboard.take(number=1, generation=0))
    )
    peer = Peer("127.0.0.1:50000")
    for _ in range(2):
        dispatcher.answer(b'{"jsonrpc": "2.0", "method": "get_data", "id": 1}', peer)
    readings = scoreboard.methods()
    assert readings is not None
    counts = {found.name: sum(found.lengths.values()) for found in readings.methods}
    assert {name: count for name, count in counts.items() if count} == {"get_data": 2}


def test_a_batch_stops_being_run_once_its_replies_are_too_long_to_be_read() -> None:
    batch = BatchReplies()
    batch.add(bytes(MAX_REPLY + 1))
    refusal = batch.refusal(b'{"jsonrpc": "2.0", "method": "update", "id": 7}')  # type: ignore[arg-type]
    assert refusal is not None
    assert code(json.loads(refusal[4:])) == (-32003, 7)


def test_a_handlers_traceback_is_all_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    Talk().say('[{"jsonrpc": "2.0", "method": "failing"}]')
    (record,) = caplog.records
    assert "KeyError: 'secret'" in record.getMessage()
    assert "During handling" not in record.getMessage()
    assert "msgspec" not in record.getMessage()


def test_the_access_log_has_a_line_for_each_call_and_one_for_the_batch(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(LoggedDispatcher)
    with caplog.at_level(logging.INFO, "rpcserver.access"):
        talk.say('[{"jsonrpc": "2.0", "method": "get_data", "id": 1}, {"jsonrpc": "2.0", "method": "nope", "id": 2}]')
        talk.say('{"jsonrpc": "2.0", "method": "update"}')
    lines = [
        " ".join(record.getMessage().split()[1:3]) for record in caplog.records if record.name == "rpcserver.access"
    ]
    assert lines == ["get_data ok", "nope -32601", "batch ok", "update notified"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
)
members = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | json_values,
        "method": st.sampled_from(["update", "sum", "later", "failing"]) | json_values,
        "params": json_values,
        "id": json_values,
        "close": json_values,
    },
)


@given(members | st.lists(members | json_values, max_size=3), st.booleans())
def test_any_json_is_answered_in_one_envelope_or_not_at_all(value: Any, spoken: bool) -> None:
    talk = Talk()
    talk.peer.jsonrpc = spoken
    reply = talk.say(json.dumps(value))
    for one in reply if isinstance(reply, list) else [reply]:
        if one is not None and "jsonrpc" in one:
            assert one["jsonrpc"] == "2.0"
            assert set(one) == {"jsonrpc", "id", "error" if "error" in one else "result"}
        else:
            assert one is None or not spoken or "in" in value
    assert talk.board.cells[STARTED] == talk.board.cells[ANSWERED]
