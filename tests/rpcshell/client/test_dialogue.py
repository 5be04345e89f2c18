"""A dialogue in a listening dialect, without any transport: what belongs to which call, and how it ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import ChildTarget, ProtocolError, Target, TcpTarget
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
SPOKEN = TcpTarget("127.0.0.1", 1, dialect="jsonrpc")
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


class InOrder(JsonRpc):
    in_order = True


def broken(
    framing: str, *bodies: bytes, calls: int = 1, target: Target = SPOKEN, speak: type[JsonRpc] = JsonRpc
) -> Any:
    """A dialogue that was understood and then heard these, and what came of its calls and unasked."""
    frame = FRAMINGS[framing].frame
    ends: list[Any] = []
    heard: list[Any] = []
    made = Dialogue(target, speak(MAX_REPLY, framing=framing), heard.append)
    for _ in range(calls):
        made.call("m", None, ends.append, meta=False, plain=False)
    taken(made, *(frame(body) for body in (b'{"jsonrpc":"2.0","method":"e"}', *bodies)))
    return made, ends, heard[1:]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_reply_with_what_json_has_no_word_for_ends_its_own_call_and_shows_it(framing: str) -> None:
    reply = b'{"jsonrpc":"2.0","id":2,"result":[NaN,1]}'
    made, ends, _ = broken(framing, reply, b'{"jsonrpc":"2.0","id":1,"result":1}', calls=2)
    assert [(end.id, end.fault and end.fault.code) for end in ends] == [(2, -32700), (1, None)]
    assert ends[0].fault.message == "the reply cannot be read: NaN is no JSON"
    assert ends[0].fault.data == reply.decode()
    assert made.failure is None


@pytest.mark.parametrize(
    "body", [b'{"jsonrpc":"2.0","id":1,"result":["half,]}', b'{"jsonrpc":"2.0","id":1}', b"7", b"{,}"]
)
@pytest.mark.parametrize("framing", ["line", "nul", "content-length", "u32le", "u32be"])
def test_what_cannot_be_read_ends_the_only_call_that_waits(framing: str, body: bytes) -> None:
    made, ends, _ = broken(framing, body)
    assert ends[0].fault.data == body.decode()
    assert made.failure is None
    made, ends, _ = broken(framing, body, calls=2)
    assert (made.failure is None) == (not ends)
    made, ends, _ = broken(framing, body, speak=InOrder)
    assert isinstance(made.failure, ProtocolError)
    assert ends == [made.failure]
    assert "cannot be read" in str(made.failure)


def test_an_event_that_cannot_be_read_is_for_the_log() -> None:
    _, _, heard = broken("line", b'{"jsonrpc":"2.0","method":"e","params":[NaN]}', calls=0)
    assert heard == [Stray('{"jsonrpc":"2.0","method":"e","params":[NaN]}')]


@pytest.mark.parametrize(("framing", "end"), [("line", b"\n"), ("stream", b"\n"), ("content-length", b"\r\n")])
@pytest.mark.parametrize("printed", [b"Starting...", b"INFO: x = {", b"7"])
def test_what_a_child_prints_between_its_messages_is_for_the_log(framing: str, end: bytes, printed: bytes) -> None:
    frame = FRAMINGS[framing].frame
    ends: list[Any] = []
    heard: list[Any] = []
    made = Dialogue(ChildTarget(("x",), dialect="jsonrpc"), JsonRpc(MAX_REPLY, framing=framing), heard.append)
    made.call("m", None, ends.append, meta=False, plain=False)
    # What has a header is no print.
    logged = [] if framing == "content-length" else [b'{"level":"info"}']
    reply = frame(b'{"jsonrpc":"2.0","id":1,"result":1}')
    taken(made, *single_bytes(printed + end + b"".join(map(frame, logged)) + printed + end + reply + end))
    assert [stray.text.encode() for stray in heard] == [printed, *logged, printed]
    assert ends == [Reply("result", 1, id=1)]
    assert made.failure is None


def test_a_child_that_prints_half_a_reply_ends_the_call_that_waits() -> None:
    half = b'{"jsonrpc":"2.0","id":1,"result":{'
    made, ends, heard = broken("line", half, b"{'a': 1}", target=ChildTarget(("x",), dialect="jsonrpc"))
    assert ends[0].fault.data == half.decode()
    assert heard == [Stray("{'a': 1}")]
    assert made.failure is None


def test_a_message_that_goes_on_after_its_call_was_given_up_is_not_broken_off() -> None:
    came: list[Any] = []
    made = dialogue(came)
    number, _ = made.call("m", None, came.append, meta=False, plain=False)
    assert made.unfinished == ""
    taken(made, b'{"id":1,"result":[')
    assert made.unfinished == 'part of a message has come: "{"id":1,"result":["'
    made.abandon(number)
    assert made.broken_off
    taken(made, b"1")
    assert not made.broken_off
    taken(made, b"]}")
    assert (made.unfinished, came) == ("", [])


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
