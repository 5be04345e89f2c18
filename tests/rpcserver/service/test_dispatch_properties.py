"""Whatever bytes and values a client sends, it gets a well-formed reply."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rpcserver import Service
from tests.rpcserver.calling import Caller

service = Service("test")


@service.method
def ping(params: Any) -> Any:
    return params


@service.method
def add(a: int, b: int = 0) -> int:
    return a + b


@service.method
async def later(value: list[dict[str, float]] | None = None) -> Any:
    await asyncio.sleep(0)
    return value


@service.method
def broken() -> None:
    raise KeyError


CALLER = Caller(service)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(json_values)
def test_any_json_value_comes_back(value: Any) -> None:
    assert CALLER.call("ping", value) == value
    assert CALLER.request("ping", value, id=1)["result"] == value


def is_a_reply(reply: dict[str, Any]) -> bool:
    if reply["out"] == "error":
        fault = reply["result"]
        return isinstance(fault["code"], int) and isinstance(fault["message"], str)
    return "result" in reply


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_get_a_reply(body: bytes) -> None:
    assert is_a_reply(CALLER.body(body))


@settings(deadline=None)
@given(st.sampled_from(["ping", "add", "later", "broken", "x", "rpc.discover"]), json_values, st.booleans())
def test_any_params_get_a_reply(method: str, params: Any, close: bool) -> None:
    assert is_a_reply(CALLER.body(json.dumps({"in": method, "params": params}).encode(), close=close))
    assert is_a_reply(CALLER.request(method, params, id=1, meta=True))


request_keys = st.dictionaries(st.sampled_from(["in", "params", "id", "meta", "close", "x"]), json_values)


@settings(deadline=None)
@given(request_keys, st.binary(max_size=3), st.integers(min_value=0))
def test_any_damaged_request_gets_a_reply(request_: dict[str, Any], garbage: bytes, at: int) -> None:
    body = json.dumps({"in": "add", **request_}).encode()
    at %= len(body)
    assert is_a_reply(CALLER.body(body))
    assert is_a_reply(CALLER.body(body[:at] + garbage + body[at:]))
    assert is_a_reply(CALLER.body(body[:at]))
