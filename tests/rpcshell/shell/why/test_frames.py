"""Bytes of the wire as people see them."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.masking import blot_bytes
from rpcshell.shell.why.frames import cut_frames, render_frames
from rpcshell.view.escape import visible
from rpcwire import encode_request, frame

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def shown(data: bytes, width: int = 80, **more: object) -> str:
    return "".join(text for _, text in render_frames(data, width, **more))  # type: ignore[arg-type]


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=4), st.binary(max_size=3))
def test_frames_are_cut_where_they_were_put_together(bodies: list[bytes], rest: bytes) -> None:
    found = cut_frames(b"".join(map(frame, bodies)) + rest)
    whole = found[:-1] if rest else found
    assert [one.body for one in whole] == bodies
    assert all(one.whole for one in whole)
    assert not rest or not found[-1].whole


@given(st.binary(max_size=200), st.integers(20, 120))
def test_whatever_comes_is_shown_without_harm(data: bytes, width: int) -> None:
    text = shown(data, width, full=True)
    assert visible(text, newlines=True) == text


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
