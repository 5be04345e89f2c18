"""A dialogue in a listening dialect, without any transport: what belongs to which call, and how it ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import ProtocolError, TcpTarget
from rpcshell.client.dialects import (
    Event,
    Partial,
    ServerRequest,
    Stray,
)
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcshell.client.dialogue import Dialogue
from rpcshell.client.exchange import Dropped
from rpcwire import MAX_REPLY, Reply, encode_value
from rpcwire.framings import FRAMINGS
from tests.rpcwire.feeding import cut, single_bytes

TARGET = TcpTarget("127.0.0.1", 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
IDS = st.none() | st.booleans() | st.integers() | _FLOATS | st.text() | st.lists(st.integers())
KEYS = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "code", "more"])
VALUES = IDS | st.dictionaries(st.text(), IDS) | st.sampled_from(["2.0", 1, 2, 3])
MESSAGES = st.dictionaries(KEYS, VALUES, max_size=5) | st.lists(st.dictionaries(KEYS, VALUES), max_size=3) | VALUES


def heard_by(dialogue_of: Callable[[Callable[[Any], None]], Dialogue], pieces: Iterable[bytes]) -> list[Any]:
    """All that a dialogue with two calls under way makes of some bytes."""
    came: list[Any] = []

    def note(number: int, what: Any) -> None:
        came.append((number, what))

    dialogue = dialogue_of(lambda heard: came.append(("heard", heard)))
    for number in (1, 2):
        dialogue.call("m", None, partial(note, number), meta=False, plain=False)
    for piece in itertools.chain(pieces, [None]):
        if piece is None:
            dialogue.ended()
        else:
            dialogue.receive(piece)
        for give, what in dialogue.arrived():
            give(what)
    ends = [what for call, what in came if call != "heard" and not isinstance(what, Partial)]
    assert len(ends) == 2
    return [(call, str(what) if isinstance(what, Exception) else what) for call, what in came]


@given(st.lists(MESSAGES, max_size=5), st.binary(max_size=5), st.lists(st.integers(0, 200), max_size=6))
def test_whatever_a_server_says_each_call_ends_once_however_it_is_cut(
    messages: list[object], rest: bytes, at: list[int]
) -> None:
    for framing, ends in (("line", b"\n"), ("stream", b"")):
        stream = b"".join(encode_value(message) + ends for message in messages) + rest

        def fresh(hear: Callable[[Any], None], framing: str = framing) -> Dialogue:
            return Dialogue(TARGET, JsonRpc(MAX_REPLY, framing=framing), hear)

        whole = heard_by(fresh, [stream])
        # What it began with is told of errors, and may be less where it came in pieces.
        plain = [what for what in whole if not isinstance(what[1], str)]
        for pieces in (cut(stream, at), single_bytes(stream)):
            assert [what for what in heard_by(fresh, pieces) if not isinstance(what[1], str)] == plain


def dialogue(heard: list[Any]) -> Dialogue:
    return Dialogue(TARGET, JsonRpc(MAX_REPLY), heard.append)


def taken(made: Dialogue, *received: bytes) -> None:
    for data in received:
        made.receive(data)
    for give, what in made.arrived():
        give(what)


def test_messages_find_whom_they_are_for_in_the_order_in_which_they_came() -> None:
    came: list[Any] = []
    made = dialogue(came)
    for _ in range(2):
        made.call("m", None, came.append, meta=False, plain=False)
    taken(made, b'{"method":"e"}{"id":2,"result":2}{"id":2,"result":"again"}{"id":1,"method":"r"}{"id":1,"result":1}')
    assert came == [Event("e"), Reply("result", 2, 2), ServerRequest("r", None, 1), Reply("result", 1, 1)]
    assert made.idle is False
    made.sent(len(made.unsent))
    assert made.idle is True


@pytest.mark.parametrize("framing", ["content-length", "u32le", "u32be"])
def test_a_frame_with_a_header_that_holds_no_json_ends_the_call_that_it_may_have_answered(framing: str) -> None:
    frame = FRAMINGS[framing].frame
    came: list[Any] = []
    made = Dialogue(TcpTarget("127.0.0.1", 1, dialect="jsonrpc"), JsonRpc(MAX_REPLY, framing=framing), came.append)
    made.call("m", None, came.append, meta=False, plain=False)
    made.receive(frame(b'{"jsonrpc":"2.0","method":"e"}') + frame(b'{"jsonrpc":"2.0","id":1,"result":NaN}'))
    for give, what in made.arrived():
        give(what)
    assert isinstance(came[-1], ProtocolError)
    assert "no JSON" in str(came[-1])


def test_only_what_was_not_sent_whole_surely_did_not_run() -> None:
    came: list[Any] = []
    made = dialogue(came)
    _, first = made.call("m", None, came.append, meta=False, plain=False)
    made.call("m", None, came.append, meta=False, plain=False)
    made.sent(len(first) + 3)
    made.ended(ConnectionResetError(104, "Connection reset by peer"))
    taken(made)
    assert [dropped.not_run for dropped in came] == [False, True]
    with pytest.raises(Dropped) as caught:
        made.call("m", None, came.append, meta=False, plain=False)
    assert caught.value.not_run


def test_what_is_no_message_ends_a_conversation_that_made_no_sense_yet_and_is_a_stray_later() -> None:
    came: list[Any] = []
    made = Dialogue(TARGET, JsonRpc(MAX_REPLY, framing="line"), came.append)
    taken(made, b'{"method":"e"}\nhello\n')
    assert came == [Event("e"), Stray("hello")]
    made = Dialogue(TARGET, JsonRpc(MAX_REPLY, framing="line"), came.append)
    made.call("m", None, came.append, meta=False, plain=False)
    taken(made, b"hello\n")
    assert isinstance(came[-1], ProtocolError)
