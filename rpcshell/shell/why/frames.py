"""Bytes of the wire for people: what is around each message, its bytes in hexadecimal, and what they say.

Long frames are cut, and the bytes of secrets are asterisks: as many as there were bytes, so that every length stays
true. Nothing is sent or received here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.dialects.registry import framing_of
from rpcshell.client.target import HttpTarget, Target
from rpcshell.client.verdict import SILENCES
from rpcshell.line.masking import blot_bytes, mask_texts, mask_value
from rpcshell.shell.why.cutting import HTTP_BODIES, cut_frames
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact
from rpcshell.view.pretty import render_json
from rpcshell.view.styles import ERROR, FAINT, TITLE
from rpcshell.view.units import call_time, count_of
from rpcwire import ParseError, decode_value
from rpcwire.framing import PREFIX_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rpcshell.client.dialects import DialectFactory
    from rpcshell.client.verdict import Finding
    from rpcshell.shell.call import Call
    from rpcshell.view.pretty import Fragment

OUT, IN = "→", "←"

_ROW: Final = 16
_NARROW_ROW: Final = 8
_WIDE_ENOUGH: Final = 72
"""Columns that a row of 16 bytes takes, in both writings."""

_MOST_ROWS: Final = 4
_MOST_LINES: Final = 3
_MARGIN: Final = "  "


def render_call(
    call: Call, width: int, dialects: Mapping[str, DialectFactory], *, full: bool = False
) -> Iterator[Fragment]:
    """The frames of a call, as far as its bytes are kept, each with its time since the call began.

    The `dialects` are those of the configuration.
    """
    trace = call.trace
    began = trace.began
    target = Target.parse(call.target, dialects)
    framing = HTTP_BODIES if isinstance(target, HttpTarget) else framing_of(target.dialect, dialects)
    if trace.connected and trace.dialled:
        took = call_time(trace.connected - trace.dialled)
        yield from step(OUT, trace.connected - began, f"connected to {call.instance or call.target} in {took}")
    if trace.attempts:
        times = f", sent {trace.attempts} times" if trace.attempts > 1 else ""
        whole = "" if trace.sent else ", not all of them written"
        count = trace.request_size - _marks(trace.request, framing)
        yield from step(OUT, (trace.sent or trace.sending) - began, f"request: {count} bytes{times}{whole}")
        more = trace.request_size - len(trace.request)
        yield from render_frames(trace.request, width, more, framing=framing, full=full)
    if trace.reads:
        received = b"".join(trace.received)
        size = f"{trace.received_size - _marks(received, framing)} bytes in {count_of(trace.reads, 'read')}"
        yield from step(IN, trace.first - began, f"reply: {size}")
        more = trace.received_size - len(received)
        yield from render_frames(received, width, more, framing=framing, params=call.named_params, full=full)
    if call.outcome in {"failed", "cancelled"}:
        yield ERROR, f"✗ {call_time(trace.ended - began):>8}  "
        yield "", visible("no reply" if call.error is None else call.error.message.replace("\n", " ").rstrip()) + "\n"


def step(sign: str, seconds: float, text: str, style: str = TITLE) -> Iterator[Fragment]:
    """The row of something that happened after so many seconds."""
    yield style, f"{sign} "
    yield "", f"{call_time(seconds):>8}  {text}\n"


def _marks(data: bytes, framing: str) -> int:
    """How many bytes were never sent: those that mark the ends of HTTP's bodies."""
    return sum(frame.whole for frame in cut_frames(data, framing)) if framing == HTTP_BODIES else 0


def render_finding(finding: Finding, width: int, *, full: bool = False) -> Iterator[Fragment]:
    """The guesses that a target was told by, each with its time since the first, and the first bytes that it said."""
    found = "nothing that is known" if finding.target is None else finding.target.dialect or "rpcshell's own protocol"
    yield FAINT, f"{finding.asked} speaks {found}: {count_of(len(finding.attempts), 'guess', 'guesses')}, "
    yield FAINT, "each on a connection of its own\n"
    for attempt in finding.attempts:
        yield from step(OUT, attempt.at, attempt.guess.name)
        yield from hex_rows(blot_bytes(attempt.guess.said, None), width, full=full)
        if attempt.first:
            yield TITLE, f"{IN} "
            yield "", f"{count_of(len(attempt.first), 'byte')}\n"
            yield from hex_rows(blot_bytes(attempt.first, None), width, full=full)
        else:
            yield FAINT, f"✗ {SILENCES[attempt.end]}\n"


def render_frames(
    data: bytes, width: int, missing: int = 0, *, framing: str = "u32le", params: Any = None, full: bool = False
) -> Iterator[Fragment]:
    """Frames with what is around their messages, bytes and meaning, ending in a newline.

    The data begins with a frame, and so many bytes of the last one may be `missing`, as they were not kept. The framing
    is as for `cut_frames`. The params may have secrets that the frames repeat.
    """
    for frame in cut_frames(data, framing):
        if len(frame.head) <= PREFIX_SIZE:
            yield from _row(frame.head, PREFIX_SIZE, frame.about) if frame.head else ()
        else:
            yield from hex_rows(frame.head, width, full=full)
        yield from hex_rows(blot_bytes(frame.body, params), width, full=full)
        if frame.tail:
            yield from _row(frame.tail, PREFIX_SIZE, frame.about)
        if frame.whole:
            yield from _meaning(frame.body, params, width, full=full) if frame.body else ()
        elif missing:
            yield FAINT, f"{_MARGIN}… {missing} more bytes were not kept\n"
        elif frame.missing:
            yield FAINT, f"{_MARGIN}… and nothing more: {frame.missing} bytes of the frame are missing\n"
        elif frame.body:
            yield FAINT, f"{_MARGIN}… and nothing more: this is no whole frame\n"


def hex_rows(data: bytes, width: int, *, full: bool = False) -> Iterator[Fragment]:
    """Bytes in rows, in hexadecimal and as text; of many the first and the last, unless all are wanted."""
    size = _ROW if width >= _WIDE_ENOUGH else _NARROW_ROW
    rows = [data[at : at + size] for at in range(0, len(data), size)]
    cut = not full and len(rows) > _MOST_ROWS + 2
    for at, row in enumerate(rows):
        if cut and at == _MOST_ROWS:
            yield FAINT, f"{_MARGIN}… {len(data) - _MOST_ROWS * size - len(rows[-1])} bytes\n"
        if not cut or at < _MOST_ROWS or at == len(rows) - 1:
            text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
            yield from _row(row, size, text)


def _row(data: bytes, size: int, text: str) -> Iterator[Fragment]:
    yield FAINT, f"{_MARGIN}{data.hex(' '):<{3 * size}}  "
    yield "", f"{text}\n"


def _meaning(body: bytes, params: Any, width: int, *, full: bool) -> Iterator[Fragment]:
    """What a body says, as JSON without its secrets."""
    try:
        value = mask_value(decode_value(body, "text"))
    except ParseError as error:
        yield ERROR, f"{_MARGIN}not JSON: {visible(str(error))}\n"
        return
    if params is not None:
        value = mask_texts(value, params)
    room = max(width - len(_MARGIN), 20)
    if full:
        yield "", _MARGIN
        for style, text in render_json(value, room):
            yield style, text.replace("\n", f"\n{_MARGIN}")
        yield "", "\n"
        return
    # Characters, and not columns: what is wide is cut a little later.
    text = compact(value)
    rows = [text[at : at + room] for at in range(0, min(len(text), _MOST_LINES * room), room)]
    if len(text) > _MOST_LINES * room:
        rows[-1] = f"{rows[-1][: room - 1]}…"
    for row in rows:
        yield "", f"{_MARGIN}{row}\n"
