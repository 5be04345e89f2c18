"""Requests in, framed replies out: the envelope, results, faults, and that nothing a client sends can raise."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sys
import threading
import time
from typing import Any

import pytest

from rpcserver import Peer, RpcError, Service
from rpcserver.service.discovery import DISCOVER, endpoints_of
from rpcserver.service.dispatch import Dispatcher
from tests.rpcserver.calling import RUNNER, WORKER, Caller, caller_of, unframed

service = Service("test")


@service.method(out="pong")
def ping(params: Any) -> Any:
    return params


@service.method
def add(a: int, b: int = 0) -> int:
    return a + b


@service.method
async def later(value: Any = None) -> Any:
    await asyncio.sleep(0)
    return value


@service.method
def broken() -> None:
    raise KeyError("secret")


@pytest.fixture
def caller() -> Caller:
    return Caller(service)


def test_a_reply_has_the_out_name_and_the_result_and_nothing_else(caller: Caller) -> None:
    assert caller.request("ping", {"a": 1}) == {"out": "pong", "result": {"a": 1}}
    assert caller.request("add", [1, 2]) == {"out": "add", "result": 3}
    assert caller.request("ping") == {"out": "pong", "result": None}


def test_a_plain_reply_is_exactly_these_bytes(caller: Caller) -> None:
    frame = caller.dispatcher.answer(b'{"in":"ping","params":{"a":1}}', caller.peer)
    assert frame == b'\x1f\x00\x00\x00{"out":"pong","result":{"a":1}}'


def test_a_body_may_be_any_buffer(caller: Caller) -> None:
    assert unframed(caller.dispatcher.answer(bytearray(b'{"in":"ping"}'), caller.peer))["out"] == "pong"


@pytest.mark.parametrize("identity", ["", "a", 0, 5, -(2**70), "ü\u2028"])
def test_the_id_is_echoed_as_it_came(caller: Caller, identity: str | int) -> None:
    assert caller.request("add", [1], id=identity) == {"out": "add", "result": 1, "id": identity}
    assert caller.request("add", [], id=identity)["id"] == identity
    assert caller.request("broken", id=identity)["id"] == identity
    assert caller.request("nothing", id=identity)["id"] == identity


@pytest.mark.parametrize("identity", [1.5, None, True, [], {}])
def test_an_id_of_another_type_is_an_invalid_request(caller: Caller, identity: Any) -> None:
    assert caller.request("add", [1], id=identity)["result"]["code"] == -32600


@pytest.mark.parametrize(("method", "params"), [("add", [1]), ("later", [1]), ("add", []), ("broken", None), ("no", 1)])
def test_meta_comes_when_asked_for(caller: Caller, method: str, params: Any) -> None:
    caller.request("ping")
    began = time.perf_counter_ns()
    meta = caller.request(method, params, meta=True)["meta"]
    assert 0 <= meta.pop("service_us") <= (time.perf_counter_ns() - began) / 1000
    assert meta == {"worker": 3, "pid": 4711, "generation": 2, "model": "sync", "served": 2}
    assert "meta" not in caller.request(method, params, meta=False)


def test_service_time_is_the_handlers(caller: Caller) -> None:
    held = threading.Event()
    slow = caller_of(lambda: held.wait(0.02))
    began = time.perf_counter_ns()
    took = slow.request("f", meta=True)["meta"]["service_us"]
    assert 20_000 <= took <= (time.perf_counter_ns() - began) / 1000


def test_served_counts_every_request_whatever_its_answer(caller: Caller) -> None:
    for body in (b'{"in":"ping"}', b"{", b"[]", b'{"in":"no"}', b'{"in":"broken"}', b'{"in":"add"}', b'{"in":"later"}'):
        caller.body(body)
    assert caller.dispatcher.served == 7


@pytest.mark.parametrize(("method", "params"), [("add", [1]), ("later", [1]), ("add", []), ("broken", None), ("no", 1)])
def test_a_request_that_heeds_close_is_remembered_for_its_connection(caller: Caller, method: str, params: Any) -> None:
    caller.request(method, params)
    caller.request(method, params, close=False)
    assert caller.peer.heeds_close is False
    assert "close" not in caller.request(method, params, close=True)
    assert caller.peer.heeds_close is True
    caller.request(method, params)
    assert caller.peer.heeds_close is True


@pytest.mark.parametrize(
    "body", [b'{"in":"add","params":[1]}', b'{"in":"add"}', b'{"in":"later"}', b'{"in":"broken"}', b'{"in":"no"}', b"{"]
)
def test_the_last_reply_says_so_whatever_it_is(caller: Caller, body: bytes) -> None:
    reply = caller.body(body)
    assert caller.body(body, close=True) == {**reply, "close": True}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b'{"in":"ping","params":NaN}', -32700),
        (b'{"in":"ping","params":"\xff"}', -32700),
        (b'{"in":"ping","params":"\\ud800"}', -32700),
        (b'{"in":"add","params":["\\ud800"]}', -32700),
        (b'{"in":"add","params":{"a":"\xff"}}', -32700),
        (b'{"in":"ping","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}", -32700),
        (b'{"in":"add","params":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", -32700),
        (b"[]", -32600),
        (b"5", -32600),
        (b"null", -32600),
        (b"{}", -32600),
        (b'{"in":5}', -32600),
        (b'{"method":"ping"}', -32600),
        (b'{"in":"ping","meta":1}', -32600),
    ],
)
def test_a_body_that_is_no_request_is_a_fault_and_the_next_one_is_served(
    caller: Caller, body: bytes, code: int
) -> None:
    assert caller.body(body)["result"]["code"] == code
    assert caller.call("ping", 1) == 1


def test_an_unknown_method_is_answered_with_near_names(caller: Caller) -> None:
    fault = caller.fault("pnig")
    assert fault["code"] == -32601
    assert fault["data"] == {"suggestions": ["ping"]}
    assert "'pnig'" in fault["message"]
    assert "did you mean ping?" in fault["message"]
    assert caller.fault("rpc.discovr")["data"]["suggestions"] == ["rpc.discover"]


def test_an_unknown_method_with_no_near_name_says_where_the_names_are(caller: Caller) -> None:
    fault = caller.fault("x" * 1_000_000)
    assert fault["data"] == {"suggestions": []}
    assert "rpc.discover" in fault["message"]
    assert len(fault["message"]) < 200


def test_an_rpc_error_is_answered_as_it_was_raised() -> None:
    def handler(which: int) -> None:
        errors = [
            RpcError("plain"),
            RpcError("coded", 404),
            RpcError("told", -32001, {"retry": True}),
            RpcError("x", 1, None),
        ]
        raise errors[which]

    caller = caller_of(handler)
    assert caller.fault("f", [0]) == {"code": -32000, "message": "plain"}
    assert caller.fault("f", [1]) == {"code": 404, "message": "coded"}
    assert caller.fault("f", [2]) == {"code": -32001, "message": "told", "data": {"retry": True}}
    assert caller.fault("f", [3]) == {"code": 1, "message": "x", "data": None}


@pytest.mark.parametrize("data", [float("nan"), "\ud800", object(), {1j}, [[float("inf")]]])
def test_an_rpc_error_with_data_that_cannot_be_sent_is_answered_without(data: Any) -> None:
    def handler() -> None:
        raise RpcError("half \udcff", 7, data)

    fault = caller_of(handler).fault("f")
    assert (fault["code"], fault["message"]) == (7, "half \\udcff")
    assert set(fault["data"]) == {"unsent"}


def test_a_failure_names_its_class_to_the_caller_and_the_rest_to_the_log(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    fault = caller.fault("broken")
    assert fault["code"] == -32603
    assert fault["data"] == {"exception": "KeyError"}
    assert "KeyError" in fault["message"]
    assert "secret" not in json.dumps(fault)
    (record,) = caplog.records
    assert (record.name, record.levelno, getattr(record, "method", None)) == (
        "rpcserver.handler",
        logging.ERROR,
        "broken",
    )
    assert 'raise KeyError("secret")' in record.getMessage()
    assert "server/rpcserver/service/dispatch.py" not in record.getMessage()


def test_a_failure_shows_its_traceback_to_the_caller_in_debug_mode() -> None:
    fault = Caller(service, debug=True).fault("broken")
    assert "KeyError: 'secret'" in fault["message"]
    assert 'raise KeyError("secret")' in fault["data"]["traceback"]
    assert "server/rpcserver/service/dispatch.py" not in fault["data"]["traceback"]


def test_a_coroutine_handler_is_run_and_may_fail(caller: Caller) -> None:
    assert caller.call("later", {"value": [1]}) == [1]

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError

    async def leaving() -> None:
        sys.exit(1)

    async def cancelled() -> None:
        raise asyncio.CancelledError

    assert caller_of(failing).fault("f")["data"]["exception"] == "ValueError"
    assert caller_of(leaving).fault("f")["data"]["exception"] == "SystemExit"
    assert caller_of(cancelled).fault("f")["code"] == -32603


def test_a_coroutine_from_behind_a_plain_wrapper_is_run() -> None:
    @functools.wraps(later)
    def wrapper(value: Any = None) -> Any:
        return later(value)

    caller = caller_of(wrapper)
    assert caller.call("f", [5]) == 5
    assert caller.request("f", [5], id=1) == {"out": "f", "result": 5, "id": 1}


def test_integers_keep_every_digit(caller: Caller) -> None:
    for number in (2**63, -(2**64) - 1, 10**4000):
        assert caller.call("ping", [number]) == [number]
        assert caller.call("add", {"a": number, "b": 1}) == number + 1


def test_threads_share_a_dispatcher_and_no_request_goes_uncounted() -> None:
    dispatcher = Dispatcher(service, WORKER)
    each = 2000

    def call() -> None:
        peer = Peer("")
        for number in range(each):
            frame = dispatcher.answer(b'{"in":"add","params":[%d]}' % number, peer)
            if unframed(frame)["result"] != number:
                return
        finished.append(None)

    finished: list[None] = []
    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(finished) == 4
    assert dispatcher.served == 4 * each


def test_a_worker_leaves_what_is_shared_alone_but_for_the_methods_that_are_called() -> None:
    service = Service("shared")
    service.method(add)
    service.method(broken)
    shared = endpoints_of(service)
    dispatcher = Dispatcher(service, WORKER, endpoints=shared, runner=RUNNER)
    peer = Peer("127.0.0.1:50000")
    for _ in range(2):
        assert unframed(dispatcher.answer(b'{"in":"add","params":[1,2]}', peer))["result"] == 3
    assert unframed(dispatcher.answer(b'{"in":"ad"}', peer))["out"] == "error"
    assert dispatcher._endpoints.keys() == {"add", DISCOVER}
    assert not any(hasattr(endpoint, "_worker") for endpoint in shared.values())
