"""The demo service: every method does what its description says, within bounds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from rpcserver.testing.demo import service
from tests.rpcserver.calling import Caller


@pytest.fixture
def caller() -> Caller:
    return Caller(service)


ORDER: dict[str, Any] = {
    "customer": "Ada",
    "items": [{"sku": "TEA-42", "quantity": 2, "price": "3.10"}, {"sku": "CUP-1"}],
    "address": {"street": "Keizersgracht 1", "city": "Amsterdam"},
    "shipping": "express",
    "deliver_on": "2026-12-05",
    "tags": ["tea"],
}


def test_ping_answers_pong_with_its_params(caller: Caller) -> None:
    assert caller.request("ping", {"a": [1, None]}) == {"out": "pong", "result": {"a": [1, None]}}
    assert caller.request("ping") == {"out": "pong", "result": None}


def test_echo_repeats(caller: Caller) -> None:
    assert caller.call("echo", {"text": "ab", "times": 2, "upper": True}) == "ABAB"
    assert caller.call("echo", ["ab"]) == "ab"


def test_add_adds_and_plus_is_its_old_name(caller: Caller) -> None:
    assert caller.call("add", [1, 2]) == 3
    assert caller.call("add", {"a": 0.5}) == 0.5
    assert caller.call("plus", [1, 2]) == 3


def test_sleep_takes_its_time(caller: Caller) -> None:
    assert caller.call("sleep", {"seconds": 0.01}) >= 0.01


def test_fib_is_exact(caller: Caller) -> None:
    assert [caller.call("fib", [n]) for n in range(8)] == [0, 1, 1, 2, 3, 5, 8, 13]
    assert len(str(caller.call("fib", [20_000]))) == 4180


def test_now_has_a_zone(caller: Caller) -> None:
    utc = dt.datetime.fromisoformat(caller.call("now"))
    assert utc.utcoffset() == dt.timedelta(0)
    shifted = dt.datetime.fromisoformat(caller.call("now", {"offset_hours": -3.5}))
    assert shifted.utcoffset() == dt.timedelta(hours=-3.5)
    assert abs(shifted - utc) < dt.timedelta(minutes=1)


def test_whoami_tells_the_worker_and_the_peer(caller: Caller) -> None:
    assert caller.call("whoami") == {
        "worker": 3,
        "pid": 4711,
        "generation": 2,
        "model": "sync",
        "peer": "127.0.0.1:50000",
    }


def test_fail_fails_as_asked(caller: Caller) -> None:
    assert caller.fault("fail") == {"code": -32000, "message": "failed as asked", "data": {"asked": "error"}}
    assert caller.fault("fail", {"message": "no", "code": 404})["code"] == 404
    assert caller.fault("fail", {"how": "exception"})["data"] == {"exception": "ValueError"}
    assert "NaN" in caller.fault("fail", ["result"])["message"]


def test_blob_has_its_size(caller: Caller) -> None:
    assert [len(caller.call("blob", [size])) for size in (0, 1, 63, 64, 65, 100_000)] == [0, 1, 63, 64, 65, 100_000]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sleep", [-1]),
        ("sleep", [61]),
        ("fib", [-1]),
        ("fib", [20_001]),
        ("blob", [-1]),
        ("blob", [64 * 1024 * 1024 + 1]),
        ("echo", {"text": "x" * 100_001}),
        ("echo", {"text": "x", "times": 101}),
        ("now", [24.5]),
        ("order.place", {**ORDER, "items": []}),
        ("order.place", {**ORDER, "items": [{"sku": "tea"}]}),
        ("order.place", {**ORDER, "items": [{"sku": "TEA-1", "quantity": 0}]}),
        ("order.place", {**ORDER, "shipping": "pigeon"}),
        ("order.place", {**ORDER, "deliver_on": "soon"}),
        ("order.place", {**ORDER, "address": {"street": "x"}}),
        ("order.get", [0]),
        ("order.list", [1001]),
    ],
)
def test_what_is_out_of_bounds_is_refused(caller: Caller, method: str, params: Any) -> None:
    assert caller.fault(method, params)["code"] == -32602


def test_an_offset_of_a_whole_day_is_refused(caller: Caller) -> None:
    assert "23.5" in caller.fault("now", [24])["message"]


def test_an_order_is_placed_and_found(caller: Caller) -> None:
    placed = caller.call("order.place", ORDER)
    assert (placed["total"], placed["shipping"], placed["tags"]) == ("28.65", "express", ["tea"])
    assert placed["address"]["country"] == "NL"
    assert caller.call("order.get", [placed["id"]]) == placed
    assert caller.call("order.list", {"limit": 1}) == [placed]


def test_an_order_that_is_not_there_is_an_application_error(caller: Caller) -> None:
    fault = caller.fault("order.get", [10**9])
    assert (fault["code"], fault["data"]) == (404, {"id": 10**9})


def test_everything_in_the_demo_is_described(caller: Caller) -> None:
    for method in caller.call("rpc.discover")["methods"]:
        assert method["summary"].endswith(".")
        for parameter in method["params"]:
            assert parameter.get("description") or method.get("x-params") == "whole"
