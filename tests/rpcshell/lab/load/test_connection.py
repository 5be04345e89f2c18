from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.lab.load.connection import LoadConnection
from rpcwire import encode_fault, encode_reply, frame
from rpcwire.messages import Fault


@given(
    st.lists(st.sampled_from([b"1", b'"' + b"x" * 5000 + b'"', b"{}"]), min_size=1, max_size=6),
    st.lists(st.integers(1, 60) | st.integers(4000, 6000), min_size=1, max_size=6),
)
def test_replies_are_whole_however_the_stream_is_cut(results: list[bytes], sizes: list[int]) -> None:
    bodies = [b'{"out":"pong","result":' + result + b"}" for result in results]
    stream = b"".join(map(frame, bodies))
    connection = LoadConnection()
    connection.worker = 1
    found: list[bytes | bytearray] = []
    cuts = itertools.cycle(sizes)
    while stream:
        size = next(cuts)
        brought = connection.frames(stream[:size])
        stream = stream[size:]
        found += brought
        # What may be counted without a look is a read that was one whole reply.
        assert connection.usual is None or [frame(bytes(body)) for body in brought] == [connection.usual]
    assert found == bodies


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (encode_reply("pong", {"a": 1}), True),
        (b'{"out": "pong", "result": {"error": 1}}', True),
        (encode_reply("pong", 1, close=True), False),
        (encode_fault(Fault(-32000, "no")), False),
        (b'{"out": "error", "result": {"code": 1, "message": ""}}', False),
        (b'{"result": {"code": 1, "message": ""}, "out": "error"}', False),
        (b'{"close":true}', False),
        (b"[1, 2]", False),
    ],
)
def test_only_what_is_like_most_replies_is_not_looked_into(body: bytes, plain: bool) -> None:
    assert LoadConnection.is_plain(body) is plain
