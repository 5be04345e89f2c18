"""Odd envelopes of home-made servers: what a table makes of a call, and of what such a server says to it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from rpcshell import Envelope, UsageError
from rpcshell.client.dialects import Event, Partial
from rpcwire import ERROR_OUT, MAX_REPLY, EncodeError, Reply
from tests.rpcshell.feeding import said


class Odd(NamedTuple):
    """A table; a call by it, as it is sent; what the server says then, and what that means."""

    table: dict[str, Any]
    params: object
    sent: object
    says: list[object]
    means: list[object]


ODD = {
    "numbers as texts": Odd(
        {"request": {"op": "$method", "args": "$params", "id": "$id-text"}, "reply": {"result": "data"}},
        {"a": 1},
        {"op": "add", "args": {"a": 1}, "id": "7"},
        [{"id": "7", "data": 3}, {"id": 7.0, "data": 3}, {"id": "x", "data": 4}],
        [Reply("result", 3, 7), Reply("result", 3, 7), Event("message", {"id": "x", "data": 4})],
    ),
    "params by name and by position": Odd(
        {"request": {"cmd": "$method", "args": "$by-position", "kwargs": "$by-name"}},
        [1, 2],
        {"cmd": "add", "args": [1, 2]},
        [{"error": False, "value": 3}],
        [Reply("result", {"error": False, "value": 3})],
    ),
    "params beside the method": Odd(
        {"request": {"op": "$method", "": "$params...", "v": 1}, "reply": {"ok": {"status": "ok"}, "error": "why"}},
        {"a": 1, "b": 2},
        {"op": "add", "a": 1, "b": 2, "v": 1},
        [{"status": "ok", "sum": 3}, {"status": "error", "why": "no number"}, {"status": "error"}],
        [
            Reply("result", {"status": "ok", "sum": 3}),
            Reply(ERROR_OUT, "no number"),
            Reply(ERROR_OUT, {"status": "error"}),
        ],
    ),
    "the method as a key": Odd(
        {"request": {"$method": "$params", "ref": "$id"}, "no-params": {}},
        None,
        {"add": {}, "ref": 7},
        [{"ref": 7}],
        [Reply("result", {"ref": 7}, 7)],
    ),
    "lists both ways": Odd(
        {
            "request": [0, "$id", "$method", "$params"],
            "no-params": [],
            "reply": {"id": "1", "error": "2", "result": "3"},
            "event": {"has": {"0": 2}, "name": "1", "params": "2"},
        },
        [1, 2],
        [0, 7, "add", [1, 2]],
        [[1, 7, None, 3], [2, "tick", [5]], [1, 8, "no", None], [1]],
        [
            Reply("result", 3, 7),
            Event("tick", [5]),
            Reply(ERROR_OUT, "no", 8),
            Event("message", [1]),
        ],
    ),
    "a reply in a list": Odd(
        {"request": {"m": "$method", "p": "$params"}, "reply": {"ok": {"0.rc": 0}, "result": "0.out", "code": "0.rc"}},
        "x",
        {"m": "add", "p": "x"},
        [[{"rc": 0, "out": 1}], [{"rc": 5}], []],
        [
            Reply("result", 1),
            Reply(ERROR_OUT, {"code": 5, "message": '[{"rc":5}]', "data": [{"rc": 5}]}),
            Reply(ERROR_OUT, []),
        ],
    ),
    "an error that is a number": Odd(
        {"request": {"m": "$method"}, "reply": {"error": "errno", "code": "errno", "result": "r"}},
        None,
        {"m": "add"},
        [{"errno": 0, "r": 1}, {"errno": -13, "what": "denied"}],
        [
            Reply("result", 1),
            Reply(
                ERROR_OUT,
                {
                    "code": -13,
                    "message": '{"errno":-13,"what":"denied"}',
                    "data": {"errno": -13, "what": "denied"},
                },
            ),
        ],
    ),
    "numbers and names of errors as texts": Odd(
        {"request": {"m": "$method"}, "reply": {"error": "msg", "code": "code", "result": "r"}},
        None,
        {"m": "add"},
        [{"msg": "no", "code": "404"}, {"msg": "no", "code": "E_GONE"}, {"msg": {"de": "nein"}, "code": "E"}],
        [
            Reply(ERROR_OUT, {"code": 404, "message": "no"}),
            Reply(ERROR_OUT, "E_GONE: no"),
            Reply(ERROR_OUT, {"de": "nein"}),
        ],
    ),
    "several errors, and only that there is one": Odd(
        {"request": {"m": "$method"}, "reply": {"error": "errors.0.text", "ok": {"failed": False}, "result": "r"}},
        None,
        {"m": "add"},
        [{"failed": True, "errors": [{"text": "no"}, {"text": "never"}]}, {"failed": True, "errors": []}],
        [Reply(ERROR_OUT, "no"), Reply(ERROR_OUT, {"failed": True, "errors": []})],
    ),
    "parts before the reply": Odd(
        {"request": {"m": "$method"}, "reply": {"more": "continues", "result": "r"}},
        None,
        {"m": "add"},
        [{"r": 1, "continues": True}, {"r": 2, "continues": False}],
        [Partial(1), Reply("result", 2)],
    ),
    "parts of a call with a number": Odd(
        {"request": {"m": "$method", "id": "$id"}, "reply": {"more": "partial", "result": "r"}},
        None,
        {"m": "add", "id": 7},
        [{"id": 7, "r": 1, "partial": 1}, {"id": 7, "r": 2}],
        [Partial(1, 7), Reply("result", 2, 7)],
    ),
    "events by what they are": Odd(
        {
            "request": {"type": "call", "name": "$method", "seq": "$id"},
            "reply": {"result": "body"},
            "event": {"has": {"type": ["event", "log"]}, "name": "name", "params": "body"},
        },
        None,
        {"type": "call", "name": "add", "seq": 7},
        [{"type": "event", "name": "grown", "seq": 7, "body": 1}, {"type": "log"}, {"type": "reply", "seq": 7}],
        [Event("grown", 1), Event("message", None), Reply("result", None, 7)],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_server_is_told_by_a_table(name: str) -> None:
    odd = ODD[name]
    dialect = Envelope.from_table(odd.table)(MAX_REPLY)
    assert json.loads(dialect.encode_call("add", odd.params, meta=False, plain=False, number=7)) == odd.sent
    assert said(dialect, *(json.dumps(message).encode() for message in odd.says)) == odd.means


@pytest.mark.parametrize(
    ("request_", "params", "says"),
    [
        ({"cmd": "$method", "kwargs": "$by-name"}, [1], "no place for params by position"),
        ({"cmd": "$method", "args": "$by-position"}, {"a": 1}, "no place for params by name"),
        ({"cmd": "$method", "args": "$by-position"}, 1, "no place for params$"),
        ({"cmd": "$method", "": "$params..."}, [1], "take params by name, as an object"),
        ({"cmd": "$method", "": "$params..."}, {"cmd": 1}, "no place for a param 'cmd'"),
    ],
)
def test_params_that_have_no_place_are_said(request_: dict[str, Any], params: object, says: str) -> None:
    dialect = Envelope.from_table({"request": request_})(MAX_REPLY)
    with pytest.raises(EncodeError, match=says):
        dialect.encode_call("add", params, meta=False, plain=False)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"request": {"$method": "$params"}}, r"no-params is needed where \$method is the key"),
        ({"request": ["$id-text", "$method"]}, r"reply has no id, .* where \$id-text is"),
        ({"request": ["$method"], "event": {"name": "a"}}, "event needs either a key or what it has"),
        ({"request": ["$method"], "event": {"key": "a", "has": {"b": 1}}}, "event needs either a key or what it has"),
    ],
)
def test_a_shape_that_makes_no_sense_is_one_line(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Envelope.from_table(table)
    assert "\n" not in str(caught.value)
