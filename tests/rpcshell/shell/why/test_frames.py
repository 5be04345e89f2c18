"""Bytes of the wire as people see them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.masking import blot_bytes
from rpcshell.shell.why.cutting import HTTP_BODIES, cut_frames
from rpcshell.shell.why.frames import render_frames
from rpcshell.view.escape import visible
from rpcwire import encode_request, frame
from rpcwire.framings import FRAMINGS

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def in_list(value: object) -> bytes:
    return msgspec.json.encode([value])


def shown(data: bytes, width: int = 80, **more: object) -> str:
    return "".join(text for _, text in render_frames(data, width, **more))  # type: ignore[arg-type]


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=4), st.binary(max_size=3))
def test_frames_are_cut_where_they_were_put_together(bodies: list[bytes], rest: bytes) -> None:
    found = cut_frames(b"".join(map(frame, bodies)) + rest)
    whole = found[:-1] if rest else found
    assert [one.body for one in whole] == bodies
    assert all(one.whole for one in whole)
    assert not rest or not found[-1].whole


@given(st.lists(json.map(in_list), max_size=4), st.data())
@pytest.mark.parametrize("framing", sorted(FRAMINGS))
def test_every_framing_is_cut_and_no_byte_is_lost(framing: str, bodies: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(map(FRAMINGS[framing].frame, bodies))
    found = cut_frames(sent, framing)
    assert [one.body for one in found] == bodies
    assert all(one.whole for one in found)
    cut = data.draw(st.integers(0, len(sent)))
    found = cut_frames(sent[:cut], framing)
    assert b"".join(one.head + one.body + one.tail for one in found) == sent[:cut]
    assert [one.body for one in found[:-1]] == bodies[: len(found[:-1])]


@given(st.lists(json.map(in_list), max_size=4))
def test_bodies_of_http_are_shown_without_the_newlines_that_part_them(bodies: list[bytes]) -> None:
    found = cut_frames(b"".join(body + b"\n" for body in bodies), HTTP_BODIES)
    assert [one.body for one in found] == bodies
    assert not any(one.head or one.tail or one.about for one in found)


@given(st.binary(max_size=200), st.integers(20, 120), st.sampled_from([*FRAMINGS, HTTP_BODIES, ""]))
def test_whatever_comes_is_shown_without_harm(data: bytes, width: int, framing: str) -> None:
    text = shown(data, width, full=True, framing=framing)
    assert visible(text, newlines=True) == text


def test_what_is_nested_too_deeply_to_be_read_is_shown_as_bytes() -> None:
    assert "not JSON: the JSON is nested too deeply" in shown(frame(b"[" * 100_000))


@given(json, st.text(alphabet='abcdefgü"\\\n', min_size=4, max_size=20))
def test_a_secret_is_in_no_row_and_every_length_stays_true(value: object, secret: str) -> None:
    secret = f"Q{secret}Q"
    body = encode_request("login", {"user": value, "password": secret, "again": [{"api_key": secret}]})
    blotted = blot_bytes(body)
    assert len(blotted) == len(body)
    assert msgspec.json.encode(secret)[1:-1] not in blotted
    reply = msgspec.json.encode({"out": "pong", "result": {"echo": f"it was {secret}"}})
    blotted_reply = blot_bytes(reply, {"password": secret})
    assert len(blotted_reply) == len(reply)
    assert msgspec.json.encode(secret)[1:-1] not in blotted_reply
    assert secret not in shown(frame(body), full=True)
    assert secret not in shown(frame(reply), params={"password": secret}, full=True)


def test_a_frame_is_annotated_and_a_long_one_cut() -> None:
    assert shown(frame(b'{"in":"ping"}')).splitlines() == [
        "  0d 00 00 00   length 13 = 0xd, little-endian",
        '  7b 22 69 6e 22 3a 22 70 69 6e 67 22 7d            {"in":"ping"}',
        '  {"in":"ping"}',
    ]
    rows = shown(frame(msgspec.json.encode("x" * 5000))).splitlines()
    assert len(rows) == 1 + 6 + 3
    assert "  … 4928 bytes" in rows
    assert "3 of the 4 bytes of a length" in shown(b"\1\0\0")
    assert "2 bytes of the frame are missing" in shown(b"\3\0\0\0{")
    assert "not JSON" in shown(frame(b'"\xff"'))


def test_what_is_around_a_message_is_annotated_in_every_framing() -> None:
    assert shown(b"\0\0\0\1{", framing="u32be").splitlines()[0] == "  00 00 00 01   length 1 = 0x1, big-endian"
    assert shown(b"{}\r\n", framing="line").splitlines()[1] == "  0d 0a         the end of the line"
    assert shown(b"{}\0", framing="nul").splitlines()[1] == "  00            NUL"
    rows = shown(b"Content-Length: 2\r\n\r\n{}", framing="content-length").splitlines()
    assert rows[0].endswith("Content-Length: ")
    assert rows[-1] == "  {}"
    assert shown(b'{}{"a":1}', framing="stream").splitlines()[1] == "  {}"
    assert "this is no whole frame" in shown(b"{", framing="line")
    assert "not JSON" in shown(b"x\n", framing="line")
