"""Whatever handlers and types raise or return, a reply is made of it."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import msgspec
import pytest

from rpcserver import RpcError, Service
from rpcserver.system.errors import QuickStop
from tests.rpcserver.calling import Caller, caller_of


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Suspicious(msgspec.Struct):
    a: int = 0

    def __post_init__(self) -> None:
        if self.a == 1:
            raise ValueError("one is too few")
        if self.a == 2:
            raise LookupError("two")
        if self.a == 3:
            raise RpcError("three", 3)


def endless() -> Any:
    return endless()


def looping() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def raising(error: BaseException) -> Any:
    def handler() -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("handler", "exception"),
    [
        (raising(SystemExit(3)), "SystemExit"),
        (lambda: sys.exit("bye"), "SystemExit"),
        (raising(StopIteration()), "StopIteration"),
        (raising(msgspec.ValidationError("mine")), "ValidationError"),
        (raising(Unspeakable()), "Unspeakable"),
        (raising(ExceptionGroup("several", [ValueError("a"), OSError("b\udcff")])), "ExceptionGroup"),
        (raising(MemoryError()), "MemoryError"),
        (endless, "RecursionError"),
    ],
)
@pytest.mark.parametrize("keys", [{}, {"id": 1}])
def test_whatever_a_handler_raises_is_an_internal_error(handler: Any, exception: str, keys: dict[str, Any]) -> None:
    for debug in (False, True):
        failing = Service("test")
        failing.method(name="f")(handler)
        reply = Caller(failing, debug=debug).request("f", **keys)
        assert reply["result"]["code"] == -32603
        assert reply["result"]["data"]["exception"] == exception


@pytest.mark.parametrize(
    "result",
    [float("nan"), [float("inf")], {"a": -float("inf")}, "\ud800", ["\udfff"], {"\ud800": 1}, object(), 1j, {1: {2j}}],
)
@pytest.mark.parametrize("keys", [{}, {"id": 1}, {"meta": True}])
def test_a_result_that_cannot_be_sent_is_an_internal_error_that_says_so(result: Any, keys: dict[str, Any]) -> None:
    reply = caller_of(lambda: result).request("f", **keys)
    assert reply["result"]["code"] == -32603
    assert "cannot be sent as JSON" in reply["result"]["message"]


def test_a_result_that_contains_itself_is_an_internal_error() -> None:
    assert "cannot be sent as JSON" in caller_of(looping).fault("f")["message"]


def test_only_a_quick_stop_passes_through() -> None:
    caller = caller_of(raising(QuickStop()))
    for body in (b'{"in":"f"}', b'{"in":"f","id":1}'):
        with pytest.raises(QuickStop):
            caller.dispatcher.answer(body, caller.peer)


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        BaseExceptionGroup("several", [KeyboardInterrupt()]),
        BaseException("skipped"),
    ],
)
def test_what_is_no_exception_is_a_fault_with_a_traceback_too(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    caller = caller_of(raising(error))
    every: list[dict[str, Any]] = [{}, {"id": 1}]
    for keys in every:
        fault = caller.request("f", **keys)["result"]
        assert (fault["code"], fault["data"]["exception"]) == (-32603, type(error).__name__)
    assert caplog.text.count("Traceback (most recent call last)") >= 2


class Unfinished(RpcError):
    def __init__(self) -> None:
        pass


class Unprintable(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Misnumbered(RpcError):
    def __init__(self) -> None:
        super().__init__("wrong")
        self.code: Any = object()


class Secretive(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise GeneratorExit


class Nameless(BaseException, metaclass=Secretive):
    pass


@pytest.mark.parametrize("error", [Unfinished(), Unprintable(), Misnumbered()])
def test_an_exception_of_which_no_reply_can_be_made_is_a_fault_too(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caller = caller_of(raising(error))
    every: list[dict[str, Any]] = [{}, {"id": 1, "meta": True}]
    for keys in every:
        fault = caller.request("f", **keys)["result"]
        assert (fault["code"], fault["data"]["exception"]) == (-32603, type(error).__name__)
    assert type(error).__name__ in caplog.text


def test_an_exception_whose_class_has_no_name_is_a_fault_too() -> None:
    caller = caller_of(raising(Nameless()))
    try:
        fault = caller.fault("f")
    except BaseException:  # noqa: BLE001 - pytest could not show it
        fault = None
    assert fault is not None
    assert fault["data"] == {"exception": "Nameless"}


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise GeneratorExit


def test_a_log_that_cannot_be_written_costs_no_reply() -> None:
    broken = Broken()
    logging.getLogger().addHandler(broken)
    try:
        assert caller_of(raising(ValueError("x"))).fault("f")["data"] == {"exception": "ValueError"}
    finally:
        logging.getLogger().removeHandler(broken)


def test_what_a_type_raises_while_params_are_read_is_a_fault() -> None:
    def handler(value: Suspicious) -> int:
        return value.a

    caller = caller_of(handler)
    assert caller.call("f", {"value": {"a": 4}}) == 4
    fault = caller.fault("f", {"value": {"a": 1}})
    assert (fault["code"], fault["data"]["path"]) == (-32602, "$.value")
    assert "one is too few" in fault["message"]
    assert caller.fault("f", {"value": {"a": 2}})["data"]["exception"] == "LookupError"
    assert caller.fault("f", {"value": {"a": 3}}) == {"code": 3, "message": "three"}
