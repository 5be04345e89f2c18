"""An error is freed once it is answered: with its traceback it would keep the request, and all that was under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpcserver.service.large import LARGE
from rpcwire import frame
from tests.models import of_each_kind
from tests.servers import running

APP = """
import gc
from rpcserver import RpcError, Service

service = Service("failing")

@service.method(blocking=False)
def collected() -> list[str]:
    # The errors that only the garbage collector has found since it was asked last.
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = [repr(error) for error in gc.garbage if isinstance(error, BaseException)]
    gc.garbage.clear()
    return found

@service.method
def typed(items: list[int]) -> int:
    return len(items)

@service.method
def fails(params):
    raise ValueError

@service.method
def refuses(params):
    raise RpcError("no")

@service.method(blocking=False)
def fails_on_the_loop(params):
    raise ValueError

@service.method
async def fails_later(params):
    raise ValueError

@service.method
def returns_what_is_no_json(params):
    return object()
"""
METHODS = ("fails", "refuses", "fails_on_the_loop", "fails_later", "returns_what_is_no_json", "no_such_method")


def failing(text: bytes) -> list[bytes]:
    calls = [b'{"in":"%s","params":"%s"}' % (method.encode(), text) for method in METHODS]
    later = [b'{"jsonrpc":"2.0","id":1,"method":"%s","params":["%s"]}' % (method.encode(), text) for method in METHODS]
    return [
        *calls,
        *later,
        b"[%s]" % b",".join(later),
        b"[]",
        b'{"in":"typed","params":{"items":"%s"}}' % text,
        b'{"in":"fails","params":"%s\xff"}' % text,
        b'{"params":"%s"}' % text,
        b'{"jsonrpc":"3.0","params":"%s"}' % text,
        b"%s" % text,
    ]


@pytest.mark.samples(2)
@of_each_kind
def test_errors_are_freed_without_the_garbage_collector(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "1", app=APP, folder=tmp_path) as server:
        found = {}
        for text in (b"short", b"x" * (LARGE + 1)):
            for body in failing(text):
                # Each on a connection that has not yet spoken the other envelope.
                with server.connect() as client:
                    client.call("collected")
                    client.socket.sendall(frame(body))
                    while client.decoder.next_frame() is None:
                        client.decoder.feed(client.socket.recv(65536))
                    found[body[:60]] = client.call("collected").result
        assert not {body: errors for body, errors in found.items() if errors}
