"""Long requests are read in one go, and answered as if they were short; what is forwarded is not read at all."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpcserver import Peer, Service
from rpcserver.service.long_requests import LONG, LongRequests
from rpcwire.framings import FRAMINGS, LineDecoder
from tests.rpcserver.calling import Caller, unframed
from tests.rpcserver.service import test_dispatch_properties
from tests.rpcserver.service.test_dispatch_properties import json_values, request_keys

LENGTH = LONG + 1
SHORT = Caller(test_dispatch_properties.service)
READER = LongRequests(SHORT.dispatcher._endpoints)
PADDING = b" " * LENGTH
"""White space after a request makes it long, and nothing else of it."""


def both(body: bytes, *, close: bool = False) -> tuple[Any, Any]:
    """The reply to a request, and to the same as a long one."""
    short, long = (
        unframed(SHORT.dispatcher.answer(whole, Peer("127.0.0.1:1"), close)) for whole in (body, body + PADDING)
    )
    return short, long


def without_meta(reply: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in reply.items() if key != "meta"}


METHODS = st.sampled_from(["ping", "add", "later", "broken", "x", "rpc.discover"])


@settings(deadline=None)
@given(METHODS, json_values | st.dictionaries(st.sampled_from("abc"), st.integers()), st.booleans(), st.booleans())
def test_long_requests_are_answered_as_short_ones_are(method: str, params: Any, spaced: bool, close: bool) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    short, long = both(json.dumps({"in": method, "params": params}, separators=separators).encode(), close=close)
    assert short == long


@settings(deadline=None)
@given(METHODS, json_values, request_keys)
def test_long_requests_with_more_members_are_answered_as_short_ones_are(
    method: str, params: Any, keys: dict[str, Any]
) -> None:
    # Members of the same name too, of which the last counts.
    extra = json.dumps(keys)[1:-1]
    body = f'{{"in":{json.dumps(method)},"params":{json.dumps(params)}{"," if extra else ""}{extra}}}'
    short, long = both(body.encode())
    assert without_meta(short) == without_meta(long)


@pytest.mark.parametrize(
    "body",
    [
        b'{"in":"ping","params":"\xff"}',
        b'{"in":"ping","params":"\\ud800 and more"}',
        b'{"in":"ping","params":NaN}',
        b'{"in":"ping","params":%b}' % (b"[" * 5000),
        b'{"in":"add","params":{"a":"x"}}',
        b'{"in":"add","params":{}} x',
        b'{"in":"\xff","params":{}}',
    ],
)
def test_what_is_wrong_with_a_long_request_is_said_as_of_a_short_one(body: bytes) -> None:
    short, long = both(body)
    assert short == long
    assert short["out"] == "error"


def test_a_long_request_is_read_once_and_collects_no_garbage_meanwhile() -> None:
    collections: list[int] = []
    params = [{"a": [number]} for number in range(5000)]
    body = json.dumps({"in": "ping", "params": params}).encode()
    # The first one makes a decoder, and what was made for this test counts towards the next collection.
    READER.read(body)
    gc.collect()
    gc.callbacks.append(lambda phase, info: collections.append(threading.get_ident()))
    try:
        request = READER.read(body)
        # Another thread of this process may collect garbage at any time.
        assert threading.get_ident() not in collections
    finally:
        gc.callbacks.pop()
    assert request.typed
    assert cast("object", request.params) == params
    assert gc.isenabled()


def test_collecting_that_an_app_has_switched_off_stays_off() -> None:
    gc.disable()
    try:
        assert READER.read(b'{"in":"ping","params":1}' + PADDING).typed
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_loop_answers_long_requests_to_quick_handlers_at_once() -> None:
    quick = Service("quick")

    @quick.method(blocking=False)
    def size(params: list[str]) -> int:
        return len(params)

    @quick.method
    def slow(params: list[str]) -> int:
        return len(params)

    caller = Caller(quick)
    for method, at_once in (("size", True), ("slow", False)):
        body = json.dumps({"in": method, "params": ["x"] * LONG}).encode()
        begun = caller.dispatcher.begin(body, caller.peer)
        assert isinstance(begun, bytes) is at_once
        reply = begun if isinstance(begun, bytes) else asyncio.run(finished(begun))
        assert unframed(reply)["result"] == LONG


async def finished(coroutine: Any) -> bytes:
    reply: bytes = await coroutine
    return reply


forwarding = Service("forwarding")


@forwarding.method
def forward(params: msgspec.Raw) -> msgspec.Raw:
    return params


@forwarding.method
def part(head: msgspec.Raw, count: int = 1) -> dict[str, Any]:
    return {"head": head, "count": count}


@forwarding.method
def made(params: str) -> msgspec.Raw:
    return msgspec.Raw(params.encode("latin-1"))


@forwarding.method
def made_of(text: str) -> msgspec.Raw:
    return made(text)


FORWARDING = Caller(forwarding)


@pytest.mark.parametrize("text", ["1.50", '{"b":1, "a":[1e2,null]}', "123456789012345678901234567890", '"\\u00e9"'])
@pytest.mark.parametrize("length", [0, LENGTH])
def test_raw_params_and_results_pass_through_as_they_are(text: str, length: int) -> None:
    body = '{"in":"%s","params":%s}' + " " * length
    for keys in ("", ',"id":1', ',"meta":true'):
        frame = FORWARDING.dispatcher.answer((body % ("forward", text + keys)).encode(), FORWARDING.peer)
        assert frame[4:].startswith(b'{"out":"forward","result":%b' % text.encode())
    frame = FORWARDING.dispatcher.answer((body % ("part", f'{{"head":{text}}}')).encode(), FORWARDING.peer)
    assert frame[4:] == b'{"out":"part","result":{"head":%b,"count":1}}' % text.encode()


@pytest.mark.parametrize("junk", ["", '{"a":1},"x":1', "NaN", '"\\ud800"', '"\xff"', "[1,", "1 2"])
def test_a_raw_result_that_is_no_json_is_a_fault(junk: str) -> None:
    for reply in (FORWARDING.request("made", junk), FORWARDING.request("made", junk, id=1)):
        assert reply["out"] == "error"
        assert "made returned what cannot be sent as JSON: a msgspec.Raw that is no JSON" in reply["result"]["message"]
    call = json.dumps({"jsonrpc": "2.0", "method": "made_of", "params": [junk], "id": 1}).encode()
    frame = FORWARDING.dispatcher.answer(call, Peer("127.0.0.1:1"))
    assert json.loads(frame[4:])["error"]["code"] == -32603


def test_a_raw_result_of_several_lines_is_one_line_where_lines_are_frames() -> None:
    body = b'{"out":"f","result":{\n  "a": "\\n"\n}}'
    framing = FRAMINGS["line"]
    decoder = framing.decoder(1000)
    assert isinstance(decoder, LineDecoder)
    decoder.feed(framing.frame(body))
    line = decoder.next_frame()
    assert line is not None
    assert json.loads(line) == json.loads(body)
    assert decoder.next_frame() is None
