"""Every framing: what goes in comes out, however it is cut, and what is out of step is said once and for all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcwire import FrameError, FrameTooLarge, TruncatedFrame
from rpcwire.framings import FRAMINGS
from tests.rpcwire.feeding import cut, decode, single_bytes
from tests.steps import steps

NAMES = sorted(FRAMINGS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
MESSAGES = st.lists(st.dictionaries(st.text(), JSON, max_size=3) | st.lists(JSON, max_size=3), max_size=3)


def refuse(name: str, data: bytes, says: str, *, limit: int = 100, error: type[FrameError] = FrameError) -> None:
    """Assert that a decoder has no frame for the data, and says why."""
    decoder = FRAMINGS[name].decoder(limit)
    decoder.feed(data)
    with pytest.raises(error, match=says):
        decoder.next_frame()


@pytest.mark.parametrize("name", NAMES)
@given(messages=MESSAGES, at=st.lists(st.integers(0, 400), max_size=20), ascii_only=st.booleans())
def test_messages_come_out_as_they_went_in(name: str, messages: list[object], at: list[int], ascii_only: bool) -> None:
    framing = FRAMINGS[name]
    bodies = [json.dumps(message, ensure_ascii=ascii_only).encode("utf-8", "replace") for message in messages]
    stream = b"".join(map(framing.frame, bodies))
    for pieces in (cut(stream, at), single_bytes(stream)):
        decoder = framing.decoder(1 << 20)
        assert decode(decoder, pieces) == bodies
        assert not decoder.mid_frame
        decoder.feed_eof()


@pytest.mark.parametrize("name", NAMES)
@given(junk=st.binary(max_size=200), at=st.lists(st.integers(0, 200), max_size=10))
def test_anything_is_cut_into_the_same_frames_whatever_the_reads_were(name: str, junk: bytes, at: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> tuple[list[bytes], str]:
        decoder, bodies = FRAMINGS[name].decoder(64), []
        for piece in pieces:
            decoder.feed(piece)
            try:
                while (body := decoder.next_frame()) is not None:
                    bodies.append(bytes(body))
            except FrameError as error:
                with pytest.raises(type(error)):
                    decoder.next_frame()
                return bodies, type(error).__name__
        return bodies, ""

    assert outcome(list(cut(junk, at)))[0] == outcome([junk])[0]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("u32")])
@given(messages=MESSAGES, at=st.lists(st.integers(0, 400), max_size=20))
def test_a_mark_of_utf8_that_comes_first_is_skipped(name: str, messages: list[object], at: list[int]) -> None:
    bodies = [json.dumps(message).encode() for message in messages]
    stream = b"\xef\xbb\xbf" + b"".join(map(FRAMINGS[name].frame, bodies))
    for pieces in (cut(stream, at), single_bytes(stream)):
        assert decode(FRAMINGS[name].decoder(1 << 20), pieces) == bodies


@pytest.mark.parametrize("name", NAMES)
def test_what_is_longer_than_the_limit_is_refused_before_it_is_all_there(name: str) -> None:
    begun = FRAMINGS[name].frame(b"[" + b"1" * 1004)[:-2]
    refuse(name, begun, "limit is 1000", limit=1000, error=FrameTooLarge)


@pytest.mark.parametrize("name", NAMES)
def test_an_end_inside_a_frame_is_told_from_one_between_frames(name: str) -> None:
    framing = FRAMINGS[name]
    decoder = framing.decoder(1000)
    whole = framing.frame(b'{"a":[1,"]"]}')
    assert decode(decoder, [whole, whole[:9]]) == [b'{"a":[1,"]"]}']
    assert decoder.mid_frame
    with pytest.raises(TruncatedFrame):
        decoder.feed_eof()


def test_values_need_nothing_between_them_and_may_have_anything_in_their_strings() -> None:
    bodies = [b'{"a":"}\\"{\\\\"}', b"[]", b'["\xc3\xbc",[[{}]]]', b"{}"]
    assert decode(FRAMINGS["stream"].decoder(100), [b"".join(bodies)]) == bodies
    assert decode(FRAMINGS["stream"].decoder(100), [b"\r\n \t".join(bodies) + b"\r\n"]) == bodies


def test_what_is_no_object_or_array_ends_a_stream_of_values() -> None:
    decoder = FRAMINGS["stream"].decoder(100)
    decoder.feed(b"{}HTTP/1.1 400")
    assert decoder.next_frame() == b"{}"
    with pytest.raises(FrameError, match="0x48"):
        decoder.next_frame()


def test_lines_may_end_with_crlf_and_be_empty() -> None:
    assert decode(FRAMINGS["line"].decoder(100), [b'\r\n{"a":1}\r\n\n[]\n']) == [b'{"a":1}', b"[]"]


@pytest.mark.parametrize("framing", ["line", "nul"])
def test_a_flood_of_empty_messages_is_skipped_at_once(framing: str) -> None:
    def work(count: int) -> int:
        decoder = FRAMINGS[framing].decoder(100)
        decoder.feed((b"\n" if framing == "line" else b" \0") * count)
        return steps(decoder.next_frame)

    assert work(10_000) == work(10)


def test_a_header_may_say_more_than_the_length_in_any_case_of_letters() -> None:
    header = b"content-type: application/vscode-jsonrpc; charset=utf-8\r\nCONTENT-LENGTH:  2\r\n\r\n"
    assert decode(FRAMINGS["content-length"].decoder(100), [header + b"{}"]) == [b"{}"]


@pytest.mark.parametrize("header", [b"Content-Type: a\r\n\r\n", b"a" * 9000, b"Content-Length: -1\r\n\r\n"])
def test_a_header_without_a_length_is_out_of_step(header: bytes) -> None:
    refuse("content-length", header, "a header|no header")


@pytest.mark.parametrize(
    ("lengths", "says"), [(["2", "3"], "two values"), (["x", "2"], "two values"), (["2, 2"], "no number")]
)
def test_lengths_that_contradict_each_other_are_out_of_step(lengths: list[str], says: str) -> None:
    header = "".join(f"Content-Length: {length}\r\n" for length in lengths).encode()
    refuse("content-length", header + b"\r\n{}", says)


def test_a_length_that_is_said_twice_is_one() -> None:
    header = b"Content-Length: 2\r\ncontent-length:2\r\n\r\n"
    assert decode(FRAMINGS["content-length"].decoder(100), [header + b"{}"]) == [b"{}"]


def test_a_length_of_any_size_is_refused_in_words() -> None:
    header = b"Content-Length: 999999999999999999\r\n\r\n"
    refuse("content-length", header, "999999999999999999 bytes", error=FrameTooLarge)


@pytest.mark.parametrize("name", ["line", "content-length"])
@given(st.binary(min_size=1, max_size=200))
def test_a_native_request_is_refused_at_once_where_no_length_is_expected(name: str, body: bytes) -> None:
    refuse(name, FRAMINGS["u32le"].frame(body)[:4], "does the other side speak another framing", limit=1000)
