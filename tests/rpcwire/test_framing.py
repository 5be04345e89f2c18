from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcwire import EmptyFrame, FrameDecoder, FrameTooLarge, RemoteError, TruncatedFrame, frame
from tests.rpcwire.feeding import cut, decode, single_bytes

bodies = st.lists(st.binary(min_size=1, max_size=300), max_size=8)
places = st.lists(st.integers(0, 3000), max_size=20)


def stream(messages: list[bytes]) -> bytes:
    return b"".join(frame(body) for body in messages)


def test_a_frame_is_a_little_endian_length_and_the_body() -> None:
    assert frame(b"{}") == b"\x02\x00\x00\x00{}"


@given(bodies, places)
def test_frames_come_out_as_they_went_in_however_they_are_fed(messages: list[bytes], at: list[int]) -> None:
    data = stream(messages)
    for pieces in ([data], single_bytes(data), cut(data, at)):
        decoder = FrameDecoder()
        assert decode(decoder, pieces) == messages
        assert not decoder.mid_frame
        decoder.feed_eof()


@given(bodies, st.binary(min_size=1, max_size=40), places)
def test_trailing_bytes_of_an_unfinished_frame_are_kept(messages: list[bytes], tail: bytes, at: list[int]) -> None:
    unfinished = frame(tail)[:-1]
    decoder = FrameDecoder()
    assert decode(decoder, cut(stream(messages) + unfinished, at)) == messages
    assert decoder.mid_frame
    assert decode(decoder, [frame(tail)[-1:]]) == [tail]


@given(st.binary(max_size=20), bodies, st.binary(max_size=20))
def test_a_read_that_is_exactly_one_frame_needs_no_feeding(held: bytes, messages: list[bytes], tail: bytes) -> None:
    decoder = FrameDecoder(max_frame=200)
    decoder.feed(held)
    data = stream(messages) + tail
    expected = messages[0] if not held and not tail and len(messages) == 1 and len(messages[0]) <= 200 else None
    if not held and not messages and len(tail) > 4 and tail[:4] == (len(tail) - 4).to_bytes(4, "little"):
        expected = tail[4:]
    assert decoder.sole_frame(data) == expected
    decoder.feed(data)
    # The decoder holds what it held before, so feeding the same read goes on where it stood.
    assert decoder.mid_frame == bool(held or data)


def test_no_sole_frame_is_found_in_a_stream_out_of_step() -> None:
    decoder = FrameDecoder(max_frame=8)
    decoder.feed(frame(b"123456789"))
    with pytest.raises(FrameTooLarge):
        decoder.next_frame()
    assert decoder.sole_frame(frame(b"{}")) is None


@pytest.mark.parametrize("received", [1, 3])
def test_eof_inside_the_prefix_is_told(received: int) -> None:
    decoder = FrameDecoder()
    decoder.feed(frame(b"{}")[:received])
    with pytest.raises(TruncatedFrame) as caught:
        decoder.feed_eof()
    assert (caught.value.received, caught.value.expected) == (received, None)


def test_eof_inside_the_body_is_told_with_what_is_missing() -> None:
    decoder = FrameDecoder()
    decoder.feed(frame(b"12345678")[:-3])
    assert decoder.next_frame() is None
    with pytest.raises(TruncatedFrame) as caught:
        decoder.feed_eof()
    assert (caught.value.received, caught.value.expected) == (9, 12)


def test_the_limit_itself_is_accepted() -> None:
    assert decode(FrameDecoder(max_frame=8), [frame(b"12345678")]) == [b"12345678"]


@pytest.mark.parametrize("pieces", [[frame(b"123456789")], list(single_bytes(frame(b"123456789")[:4]))])
def test_a_prefix_over_the_limit_is_refused_at_its_fourth_byte(pieces: list[bytes]) -> None:
    decoder = FrameDecoder(max_frame=8)
    with pytest.raises(FrameTooLarge) as caught:
        decode(decoder, pieces)
    assert (caught.value.length, caught.value.limit) == (9, 8)


def test_nothing_is_allocated_for_an_announced_length() -> None:
    decoder = FrameDecoder(max_frame=2**32 - 1)
    tracemalloc.start()
    try:
        decoder.feed(struct.pack("<I", 2**32 - 1))
        assert decoder.next_frame() is None
        decoder.feed(b"x")
        assert decoder.next_frame() is None
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_a_length_of_zero_is_refused() -> None:
    with pytest.raises(EmptyFrame):
        decode(FrameDecoder(), [bytes(4)])


@given(bodies, st.binary(max_size=30))
def test_good_frames_before_a_bad_prefix_are_taken_first_and_the_error_stays(
    messages: list[bytes], after: bytes
) -> None:
    decoder = FrameDecoder(max_frame=300)
    decoder.feed(stream(messages) + struct.pack("<I", 301) + after)
    taken = [decoder.next_frame() for _ in messages]
    assert taken == messages
    for _ in range(2):
        with pytest.raises(FrameTooLarge):
            decoder.next_frame()


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_no_bytes_at_all_do_anything_but_frames_or_a_remote_error(pieces: list[bytes]) -> None:
    decoder = FrameDecoder(max_frame=1000)
    try:
        decode(decoder, pieces)
        decoder.feed_eof()
    except RemoteError as error:
        assert str(error)


def test_an_http_request_is_recognised_in_the_message() -> None:
    decoder = FrameDecoder()
    decoder.feed(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(FrameTooLarge, match='read "GET "'):
        decoder.next_frame()


def test_a_large_frame_in_small_pieces_is_linear() -> None:
    body = bytes(4 * 1024 * 1024)
    data = frame(body)
    pieces = [data[start : start + 1024] for start in range(0, len(data), 1024)]
    decoder = FrameDecoder()
    tracemalloc.start()
    try:
        assert decode(decoder, pieces) == [body]
        # A copy per piece would pass through four thousand times the body; growing in place peaks at a few.
        assert tracemalloc.get_traced_memory()[1] < 5 * len(body)
    finally:
        tracemalloc.stop()


@given(bodies, st.binary(min_size=1, max_size=300), bodies, places, st.data())
def test_a_frame_that_is_skipped_leaves_the_stream_in_step(
    before: list[bytes], skipped: bytes, after: list[bytes], at: list[int], data: st.DataObject
) -> None:
    decoder = FrameDecoder()
    whole = frame(skipped)
    come = data.draw(st.integers(4, len(whole) - 1))
    assert decode(decoder, cut(stream(before) + whole[:come], at)) == before
    decoder.skip_frame()
    assert decoder.mid_frame
    assert decoder.held <= 4
    assert decoder.sole_frame(stream([b"{}"])) is None
    with pytest.raises(TruncatedFrame, match=str(come)):
        decoder.feed_eof()
    assert decode(decoder, cut(whole[come:] + stream(after), at)) == after
    assert not decoder.mid_frame


def test_without_a_prefix_nothing_is_skipped() -> None:
    decoder = FrameDecoder()
    decoder.feed(frame(b"{}")[:3])
    decoder.skip_frame()
    assert decode(decoder, [frame(b"{}")[3:]]) == [b"{}"]


def test_a_large_body_is_handed_out_and_not_kept_or_copied() -> None:
    size = 1 << 22
    decoder = FrameDecoder()
    decoder.feed(frame(bytes(size))[:-1])
    decoder.feed(b"")
    tracemalloc.start()
    try:
        decoder.feed(b"\0")
        body = decoder.next_frame()
        assert body is not None
        assert len(body) == size
        del body
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 10_000
    assert peak < 1.5 * size
