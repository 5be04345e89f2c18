"""Calls a dispatcher as a connection would, and reads its replies without the code under test."""

from __future__ import annotations

import json
import struct
from typing import Any

from rpcserver import Peer, Service, WorkerInfo
from rpcserver.service.coroutines import CoroutineRunner
from rpcserver.service.dispatch import Dispatcher

WORKER = WorkerInfo(worker=3, pid=4711, generation=2, model="sync")

ABSENT: Any = object()


def unframed(frame: bytes) -> dict[str, Any]:
    """Take a frame apart, checking its prefix and that it holds nothing but JSON as RFC 8259 has it."""
    (length,) = struct.unpack_from("<I", frame)
    assert length == len(frame) - 4

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    reply = json.loads(frame[4:].decode("utf-8"), parse_constant=refuse)
    assert isinstance(reply, dict)
    return reply


RUNNER = CoroutineRunner()
"""Runs the coroutine handlers of every caller; `conftest` closes it."""


class Caller:
    """A client of one dispatcher."""

    def __init__(self, service: Service, *, debug: bool = False) -> None:
        self.dispatcher = Dispatcher(service, WORKER, debug=debug, runner=RUNNER)
        self.peer = Peer("127.0.0.1:50000")

    def body(self, body: bytes, *, close: bool = False) -> dict[str, Any]:
        return unframed(self.dispatcher.answer(body, self.peer, close))

    def request(self, method: str, params: Any = ABSENT, *, closing: bool = False, **keys: Any) -> dict[str, Any]:
        request: dict[str, Any] = {"in": method, **keys}
        if params is not ABSENT:
            request["params"] = params
        return self.body(json.dumps(request).encode(), close=closing)

    def call(self, method: str, params: Any = ABSENT) -> Any:
        """The result of a call that must succeed."""
        reply = self.request(method, params)
        assert reply["out"] != "error", reply
        assert set(reply) == {"out", "result"}
        return reply["result"]

    def fault(self, method: str, params: Any = ABSENT) -> dict[str, Any]:
        """The fault of a call that must fail."""
        reply = self.request(method, params)
        assert reply["out"] == "error", reply
        fault = reply["result"]
        assert isinstance(fault["code"], int)
        assert isinstance(fault["message"], str)
        assert fault["message"]
        return dict(fault)


def caller_of(handler: Any, **options: Any) -> Caller:
    """A caller of a service with one method, `f`."""
    service = Service("test")
    service.method(name="f", **options)(handler)
    return Caller(service)
