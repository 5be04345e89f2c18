"""What a server is found out to be by what it says: recorded answers, whole and in pieces, arbitrary ones, and time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.detecting import recognisers
from rpcshell.client.detection import LIMIT, LISTEN, PATIENCE, TLS_GREETING, Detection
from rpcshell.client.diagnosis import not_rpc
from rpcshell.client.dialects.recognition import (
    HTTP,
    MOST_FIRST_BYTES,
    Guess,
    framing_seen,
    messages_in,
)
from rpcwire.framings import FRAMINGS
from tests.rpcshell.client.guessing import next_guess
from tests.steps import steps

RECOGNISERS = tuple(recognisers())

Answer = Callable[[Guess], bytes | None]
"""What a server says to a guess, or None where it ends the connection."""

PIECES = {"whole": 0, "in pieces of 7": 7, "byte by byte": 1}


def silent(_guess: Guess) -> bytes | None:
    return b""


def closing(_guess: Guess) -> bytes | None:
    return None


def greeting(said: bytes) -> Answer:
    return lambda _guess: said


def framed(framing: str, message: object, *others: object) -> Answer:
    """A server of one framing that is silent at everything in another, and answers alike whatever it is asked."""

    def answer(guess: Guess) -> bytes | None:
        decoder = FRAMINGS[framing].decoder(MOST_FIRST_BYTES)
        decoder.feed(guess.said)
        try:
            asked = decoder.next_frame()
            json.loads(asked or b"")
        except ValueError:
            return b""
        except Exception as error:  # noqa: BLE001 - what a frame may raise is the decoder's business
            assert "frame" in str(error) or "JSON" in str(error) or "header" in str(error), error
            return b""
        return b"".join(FRAMINGS[framing].frame(json.dumps(one).encode()) for one in (message, *others))

    return answer


def lines_only(said: bytes) -> Answer:
    """A server that answers lines, whatever is in them."""
    return lambda guess: said if guess.said.endswith(b"\n") else b""


def detected(
    answer: Answer, *, size: int = 0, over_http: bool = False, heeds: bool = True, takes: bool = True
) -> tuple[Detection, float]:
    """What comes of a server, and when; time passes only where there is nothing to do.

    A server that `heeds` it ends connections that were closed for sending. That it takes any may be known or not.
    """
    detection = Detection(RECOGNISERS, (TLS_GREETING,), over_http=over_http, began=100.0, takes=lambda _number: takes)
    now, ended = 100.0, -1
    while True:
        while (guess := detection.next_guess(now)) is not None:
            number = len(detection.attempts) - 1
            detection.sent(now)
            said = answer(guess)
            step = size or len(said or b"") or 1
            for at in range(0, len(said or b""), step):
                detection.received(number, (said or b"")[at : at + step], now)
            if said is None:
                detection.ended(number, now)
        if detection.outcome is not None:
            return detection, round(now - 100.0, 6)
        if detection.left and heeds and ended < len(detection.attempts) - 1:
            ended = len(detection.attempts) - 1
            detection.ended(ended, now)
            continue
        assert detection.due > now
        now = detection.due


REFUSED = {"jsonrpc": "2.0", "error": {"code": -32601, "message": "no such method"}, "id": 1}
NATIVE_REFUSAL = {"out": "error", "result": {"code": -32601, "message": "no"}}
GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n'
)
QMP_ERROR = b'{"error": {"class": "GenericError", "desc": "JSON parse error, stray \'#\'"}}\r\n'
INTRODUCTION = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n109\r\nevent: message\r\n"
    b'data: {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"calc"}}}\r\n\r\n'
)
OVER_HTTP = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"jsonrpc":"2.0","id":1,"error":{"code":-32601}}'
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"

SPOKEN: dict[str, Answer] = {
    "native": framed("u32le", NATIVE_REFUSAL),
    # What a listener of the native framing makes of the beginning of a line; only those that come later may tell.
    "native ": lines_only(FRAMINGS["u32le"].frame(json.dumps(NATIVE_REFUSAL).encode())),
    "qmp": greeting(GREETING + QMP_ERROR),
    "qga": greeting(QMP_ERROR),
    "jsonrpc": framed("line", REFUSED),
    "jsonrpc ": lines_only(b'{"error":{"code":-32600,"message":"Invalid request."},"id":null,"jsonrpc":"2.0"}'),
    "jsonrpc  ": lines_only(b"[" + json.dumps(REFUSED).encode() + b"]"),
    "jsonrpc+nul": framed("nul", REFUSED),
    "jsonrpc+content-length": framed("content-length", REFUSED),
    "jsonrpc+u32be": framed("u32be", REFUSED),
    "jsonrpc+u32le": framed("u32le", REFUSED),
    "jsonrpc1": framed("line", {"id": 1, "result": None, "error": "unknown method"}),
}


@pytest.mark.parametrize("size", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("spoken", SPOKEN)
def test_what_is_spoken_is_recognised(spoken: str, size: int) -> None:
    detection, took = detected(SPOKEN[spoken], size=size)
    assert detection.outcome == "recognised"
    assert detection.recognition is not None
    assert detection.recognition.spoken == spoken.strip()
    assert took < LIMIT


@pytest.mark.parametrize("size", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize(("said", "spoken"), [(INTRODUCTION, "mcp"), (OVER_HTTP, "jsonrpc")], ids=["mcp", "jsonrpc"])
def test_what_is_spoken_over_http_is_recognised_at_a_url_and_at_an_address(said: bytes, spoken: str, size: int) -> None:
    for over_http in (True, False):
        detection, _ = detected(
            lambda guess: said if guess.refines == HTTP else BAD_REQUEST, size=size, over_http=over_http
        )
        assert detection.over_http
        assert detection.recognition is not None
        assert detection.outcome == "recognised"
        assert detection.recognition.spoken == spoken


@pytest.mark.parametrize("size", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (greeting(b"SSH-2.0-OpenSSH_9.2\r\n"), "not-rpc"),
        (lines_only(b"-ERR unknown command '{'\r\n"), "not-rpc"),
        (lambda guess: b"\x15\x03\x03\x00\x02\x02\x28" if guess is TLS_GREETING else b"", "not-rpc"),
        (lambda guess: b"\x16\x03\x03\x00\x51\x02" if guess is TLS_GREETING else None, "not-rpc"),
        (greeting(BAD_REQUEST), "not-rpc"),
        (greeting(b"<!DOCTYPE HTML>\n<html>"), "not-rpc"),
        (lambda guess: guess.said, "echo"),
        (greeting(b"hello, who are you?\n"), "unclear"),
        (greeting(b'{"message": "hello"}\n'), "unclear"),
        (closing, "closes"),
        (lambda guess: None if guess.said else b"", "closes"),
        (silent, "silent"),
        (lambda guess: None if guess.rank else b"", "silent"),
    ],
)
def test_what_is_not_understood_has_a_name(answer: Answer, outcome: str, size: int) -> None:
    detection, took = detected(answer, size=size)
    assert detection.outcome == outcome
    assert took <= LIMIT


def test_one_that_closes_each_connection_takes_no_time_at_all() -> None:
    detection, took = detected(closing)
    assert took == 0
    assert len(detection.attempts) == len({guess.said for guess in (attempt.guess for attempt in detection.attempts)})


def test_a_greeting_is_enough_and_nothing_is_said() -> None:
    for answer in (SPOKEN["qmp"], greeting(b"SSH-2.0-x\r\n")):
        detection, took = detected(answer)
        assert [attempt.guess.said for attempt in detection.attempts] == [b""]
        assert took == 0


def test_our_own_protocol_is_the_first_that_is_tried() -> None:
    detection, _ = detected(SPOKEN["native"])
    assert [attempt.guess.rank for attempt in detection.attempts] == [-1, 0]


def test_guesses_come_in_their_order_and_each_has_its_time() -> None:
    detection, took = detected(silent)
    ranks = [attempt.guess.rank for attempt in detection.attempts]
    assert ranks == sorted(ranks)
    assert detection.attempts[-1].guess is TLS_GREETING
    assert [attempt.at for attempt in detection.attempts] == pytest.approx([PATIENCE * n for n in range(len(ranks))])
    assert took == pytest.approx(LIMIT)


def test_the_limit_holds_however_long_a_guess_may_take() -> None:
    detection = Detection(RECOGNISERS, began=5.0, limit=1.0, patience=0.375)
    made = 0
    for now in (5.0, 5.375, 5.75, 6.0):
        if next_guess(detection, now) is not None:
            detection.sent(now)
            made += 1
    assert (made, detection.outcome) == (3, "silent")


def test_a_late_answer_to_an_earlier_guess_counts() -> None:
    detection = Detection(RECOGNISERS, began=0.0)
    for now in (0.0, 0.2, 0.4):
        assert next_guess(detection, now) is not None
        detection.sent(now)
    detection.received(1, FRAMINGS["u32le"].frame(json.dumps(NATIVE_REFUSAL).encode()), 0.5)
    assert detection.outcome == "recognised"


def test_a_late_answer_to_the_last_guess_counts() -> None:
    detection = Detection(RECOGNISERS, over_http=True)
    now = 0.0
    while detection.next_guess(now) is not None:
        now = detection.due
    assert (detection.outcome, detection.due) == (None, LIMIT)
    detection.received(len(detection.attempts) - 1, INTRODUCTION, LIMIT - 0.1)
    assert detection.outcome == "recognised"


def test_a_server_that_ends_after_its_first_client_is_gone() -> None:
    detection = Detection(RECOGNISERS)
    assert detection.next_guess(0.0) is LISTEN
    detection.ended(0, 0.0)
    while detection.next_guess(detection.due) is not None:
        detection.ended(len(detection.attempts) - 1, detection.due, "refused")
    assert detection.outcome == "gone"


def test_the_end_of_a_connection_that_was_closed_for_sending_says_nothing() -> None:
    detection = Detection(RECOGNISERS, began=0.0)
    for now in (0.0, 0.2):
        assert next_guess(detection, now) is not None
        detection.sent(now)
    detection.ended(0, 0.25)
    assert [attempt.end for attempt in detection.attempts] == ["", ""]
    assert detection.next_guess(0.26) is None


def test_one_that_holds_what_it_was_told_hears_nothing_else() -> None:
    detection, took = detected(silent, heeds=False, takes=False)
    assert [attempt.guess for attempt in detection.attempts] == [LISTEN]
    assert (detection.outcome, detection.is_working, took) == ("silent", False, LIMIT)

    detection = Detection(RECOGNISERS, takes=lambda _number: True)
    for now in (0.0, PATIENCE):
        assert next_guess(detection, now) is not None
    for now in (0.5, 1.0, 2.0):
        assert detection.next_guess(now) is None
        assert (detection.left, detection.is_working) == (True, True)
    assert detection.next_guess(LIMIT) is None
    assert detection.next_guess(LIMIT + 1.0) is None
    detection.received(1, FRAMINGS["u32le"].frame(json.dumps(NATIVE_REFUSAL).encode()), LIMIT + 2.0)
    assert detection.outcome == "recognised"


def test_one_that_heeds_no_end_is_not_taken_for_a_busy_one() -> None:
    for answer in (SPOKEN["jsonrpc"], SPOKEN["jsonrpc+content-length"]):
        detection, took = detected(answer, heeds=False)
        assert detection.outcome == "recognised"
        assert took < LIMIT
    detection, _ = detected(silent, heeds=False)
    assert (detection.outcome, detection.is_working) == ("silent", False)


def test_once_it_has_ended_the_connection_it_hears_the_next_guess() -> None:
    detection = Detection(RECOGNISERS)
    detection.next_guess(0.0)
    assert not detection.left
    for now in (PATIENCE, 2 * PATIENCE):
        assert detection.next_guess(now) is None
        assert detection.left
    detection.ended(0, 0.4)
    assert detection.next_guess(0.4) is not None
    assert not detection.left


@given(st.binary(max_size=200) | st.sampled_from([GREETING, QMP_ERROR, INTRODUCTION, BAD_REQUEST]), st.integers(1, 60))
def test_whatever_is_said_has_an_outcome_in_time(said: bytes, size: int) -> None:
    whole, took = detected(greeting(said))
    assert took <= LIMIT
    assert whole.outcome is not None
    pieces, took = detected(greeting(said), size=size)
    assert took <= LIMIT
    assert pieces.outcome is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["2.0", "QMP"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["jsonrpc", "id", "error", "result", "out", "QMP", "class", "desc"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(json_values, st.sampled_from(sorted(FRAMINGS)), st.integers(0, 9))
def test_any_message_in_any_framing_has_an_outcome(message: Any, framing: str, size: int) -> None:
    said = FRAMINGS[framing].frame(json.dumps(message).encode())
    detection, took = detected(greeting(said), size=size)
    assert detection.outcome is not None
    assert took <= LIMIT


@given(st.dictionaries(st.text(max_size=5), json_values, min_size=1, max_size=3), st.sampled_from(sorted(FRAMINGS)))
def test_the_framing_of_an_object_is_seen_and_it_is_read(message: dict[str, Any], framing: str) -> None:
    said = FRAMINGS[framing].frame(json.dumps(message).encode())
    seen = framing_seen(said)
    assert seen == ("stream" if framing == "line" else framing)
    assert list(messages_in(said, framing)) == [json.loads(json.dumps(message))]


def test_no_more_is_kept_than_is_looked_at() -> None:
    detection = Detection(RECOGNISERS, began=0.0)
    detection.next_guess(0.0)
    assert detection.received(0, bytes(MOST_FIRST_BYTES - 1), 0.0)
    assert not detection.received(0, bytes(MOST_FIRST_BYTES), 0.0)
    assert len(detection.attempts[0].first) == MOST_FIRST_BYTES


def test_of_a_flood_of_messages_the_first_ones_are_looked_at() -> None:
    def work(count: int) -> int:
        return steps(lambda: list(messages_in(b'{"a":1}' * count, "stream")))

    assert work(5000) == work(500)


@pytest.mark.parametrize("name", ["u32le", "u32be"])
@given(st.integers(1, 1 << 20))
def test_no_frame_of_json_is_taken_for_another_protocol(name: str, length: int) -> None:
    head = length.to_bytes(4, "little" if name == "u32le" else "big")
    assert not_rpc(head + b'{"out": "pong", "result": 1}') is None


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (b"\xff\xfd\x18\xff\xfd\x20", "a Telnet server"),
        (b"ERROR\r\n", "a memcached server"),
        (b"E\0\0\0\x8aSFATAL\0VFATAL\0", "a PostgreSQL server"),
        (b"\x45\0\0\0\xffj\x04Host", "a MySQL server"),
        (b"\0\0\x12\x04\0\0\0\0\0\0\x03", "an HTTP/2 or gRPC server"),
    ],
)
def test_servers_of_packets_are_named(said: bytes, name: str) -> None:
    assert not_rpc(said) == name
