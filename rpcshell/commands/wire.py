"""What `:wire` shows: the frames of a call, those by which a dialect was found out, and what comes of a mistake."""

from __future__ import annotations

import textwrap
from contextlib import closing
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import Cancelled, UsageError
from rpcshell.line.masking import blot_bytes
from rpcshell.line.secrets import named_params
from rpcshell.shell.why.frames import IN, OUT, hex_rows, render_call, render_finding, render_frames, step
from rpcshell.shell.why.mistakes import MISTAKES, Provocation, judge, plan
from rpcshell.view.escape import visible
from rpcshell.view.styles import ERROR, FAINT
from rpcshell.view.units import call_time, count_of
from rpcwire import EncodeError, encode_request, frame
from rpcwire.framing import PREFIX_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.shell.call import Call
    from rpcshell.shell.shell import Shell
    from rpcshell.shell.why.mistakes import MistakeName, WireEvent
    from rpcshell.view.pretty import Fragment

_CONNECT: Final = 5.0


def frames_of(shell: Shell, call: Call, *, full: bool = False) -> Iterator[Fragment]:
    """The bytes of a call, with what they say."""
    if not call.trace.attempts:
        yield FAINT, "nothing was sent"
        yield "", "\n"
        return
    yield from render_call(call, shell.text_width, shell.session.book.dialects, full=full)


def frames_of_finding(shell: Shell, *, full: bool) -> Iterator[Fragment]:
    """What was said to find out what the target speaks."""
    if (finding := shell.session.finding) is None:
        hint = ":connect ADDRESS --refresh asks what it offers; an address that was never met is found out"
        raise UsageError("nothing had to be found out: the dialect was named, or is remembered", hint=hint)
    return render_finding(finding, shell.text_width, full=full)


def provoke(shell: Shell, name: MistakeName, call: str, rate: float | None) -> None:
    """Make a mistake on purpose, and show what the server does about it."""
    if rate is not None and name != "slow":
        raise UsageError(f"--rate is for :wire send slow, and {name} is sent at once")
    session = shell.session
    target = shell.supervisor.native_target(":wire send")
    # Servers of one's own describe themselves, whatever else they know; the demo's ping is shorter.
    harmless = "ping" if session.method("ping") is not None else "rpc.discover"
    method, params = shell.read_call(call) if call else (harmless, None)
    try:
        request = frame(encode_request(method, params))
    except EncodeError as error:
        raise UsageError(f"the params of {method} cannot be sent: {error}") from None
    mistake = MISTAKES[name]
    # A worker that serves one connection at a time could be held by the shell's own.
    session.hang_up(wait=True)
    where = session.name if target == session.target else target
    shell.output.pieces([(FAINT, f"{name}: {mistake.summary}, to {where} on a connection of its own\n")])
    events: list[WireEvent] = []
    # What is a secret shows in the whole request, and not in its pieces.
    named = named_params(params, session.catalog.param_names(method))
    masked = request[:PREFIX_SIZE] + blot_bytes(request[PREFIX_SIZE:], named)
    shown = (piece.shown or piece.data for piece in plan(name, masked, rate) if not piece.quiet)
    try:
        with closing(Provocation(target, session.tls, _CONNECT)) as provocation:
            for event in provocation.run(plan(name, request, rate), request):
                events.append(event)
                data = next(shown) if event.kind == "sent" else event.data
                shell.output.pieces(_event(event, data, named, shell.text_width))
    except KeyboardInterrupt:
        raise Cancelled("cancelled: the connection was closed") from None
    right, text = judge(name, events)
    lines = textwrap.wrap(visible(text), shell.text_width, break_on_hyphens=False)
    shell.output.pieces([("" if right else ERROR, f"{line}\n") for line in lines])


def _event(event: WireEvent, data: bytes, params: object, width: int) -> Iterator[Fragment]:
    match event.kind:
        case "sent":
            size = f"{count_of(len(data), 'byte')}: " if data else ""
            yield from step(OUT, event.at, f"{size}{event.about}")
            yield from hex_rows(data, width)
        case "came":
            yield from step(IN, event.at, f"{len(data)} bytes")
            yield from render_frames(data, width, params=params)
        case "goes on":
            yield from step("=", event.at, f"the connection goes on: {event.about}")
        case "silent":
            yield from step("✗", event.at, event.about, ERROR)
        case _:
            yield FAINT, f"✗ {call_time(event.at):>8}  the server {event.kind} the connection: {event.about}\n"
