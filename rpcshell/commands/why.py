"""Commands that explain calls: `:why` in words, `:wire` by their bytes and by mistakes on purpose."""

from __future__ import annotations

import textwrap
from contextlib import closing
from typing import TYPE_CHECKING, Final, cast, get_args

import click

from rpcshell.client.errors import Cancelled, UsageError
from rpcshell.commands.groups import LOOK
from rpcshell.line.masking import blot_bytes
from rpcshell.line.secrets import named_params
from rpcshell.shell.command import CALL, command
from rpcshell.shell.why.evidence import gather
from rpcshell.shell.why.explanation import render_explanation
from rpcshell.shell.why.frames import IN, OUT, hex_rows, render_call, render_finding, render_frames, step
from rpcshell.shell.why.mistakes import MISTAKES, MistakeName, Provocation, judge, plan
from rpcshell.view.escape import visible
from rpcshell.view.styles import ERROR, FAINT
from rpcshell.view.units import call_time, count_of
from rpcwire import EncodeError, encode_request, frame
from rpcwire.framing import PREFIX_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.shell.call import Call
    from rpcshell.shell.shell import Shell
    from rpcshell.shell.why.mistakes import WireEvent
    from rpcshell.view.pretty import Fragment

_WIDTH: Final = 100
"""Columns that lines fill where there is no screen."""

_CONNECT: Final = 5.0
_ACTIONS: Final = ("on", "off", "last", "guesses", "send")


@command("why", group=LOOK, examples=(":why", ":why 12"))
@click.argument("number", metavar="[N]", type=click.IntRange(min=1), required=False)
def why(shell: Shell, *, number: int | None) -> None:
    """Explain why the last call failed, hung or was slow.

    In one screen: the reason and what to do about it, where the time went, and, of a server of yours on this machine,
    what the worker was doing, what happened to it, and the last lines of its log. With N the call that has this number
    in :history.
    """
    journal = shell.journal
    call = journal.last if number is None else journal.find(number)
    if call is None:
        if number is None or journal.last is None:
            raise UsageError("no call was made yet", hint="call something; then :why tells where its time went")
        raise UsageError(f"there is no call {number} to explain", hint=":history lists the calls that are known")
    evidence = gather(call, shell.session, shell.supervisor)
    shell.output.pieces(render_explanation(evidence, shell.width or _WIDTH))
    failed = journal.last_without_result
    if number is None and call.outcome == "ok" and failed is not None:
        shell.output.note(f"the last call that failed was {failed.number}: :why {failed.number}")


@command(
    "wire",
    group=LOOK,
    examples=(
        ":wire on",
        ":wire last",
        ":wire last --full",
        ":wire guesses",
        ':wire send split ping <"a": 1>',
        ":wire send slow --rate 20",
        ":wire send garbage",
    ),
    verbatim=True,
)
@click.argument("action", metavar="[on|off|last|guesses|send]", type=click.Choice(_ACTIONS), required=False)
@click.argument("fault", metavar="[FAULT]", type=click.Choice(get_args(MistakeName)), required=False)
@click.argument("call", metavar="[METHOD PARAMS]", nargs=-1, type=CALL)
@click.option("--full", is_flag=True, help="With last and guesses: all bytes that were kept, and all of the JSON.")
@click.option("--rate", metavar="BYTES", type=click.FloatRange(0.1, 1e6), help="With send slow: bytes a second.")
def wire(shell: Shell, *, action: str | None, fault: str | None, call: str, full: bool, rate: float | None) -> None:
    """Show the bytes of calls, or make mistakes on purpose.

    Each frame is shown with its length, its bytes, and what they say: `on` shows those of every call from now on,
    `last` those of the last one. Long frames are cut, secrets are masked.

    `guesses` shows what was said to a target whose dialect nobody had named, to find out what it speaks, and what it
    answered: that was on connections of its own, and is none of the calls.

    `send` makes a mistake on purpose, on a connection of its own, and shows what the server does about it; only with a
    server of yours on this machine. FAULT is split, truncated, oversized, zero, bad-utf8, slow or garbage.
    """
    if (fault or call) and action != "send":
        raise UsageError(f":wire {action} takes nothing more", hint=":wire send FAULT makes a mistake on purpose")
    match action:
        case "on" | "off":
            _watch(shell, on=action == "on")
        case "guesses":
            if (finding := shell.session.finding) is None:
                hint = ":connect ADDRESS --refresh asks what it offers; an address that was never met is found out"
                raise UsageError("nothing had to be found out: the dialect was named, or is remembered", hint=hint)
            shell.output.pieces(render_finding(finding, shell.width or _WIDTH, full=full))
        case "send":
            if fault is None:
                hint = f'there are {", ".join(MISTAKES)}; :wire send split ping <"a": 1>'
                raise UsageError(":wire send takes the name of a fault", hint=hint)
            _provoke(shell, cast("MistakeName", fault), call, rate)
        case _:
            last = shell.journal.last
            if last is None and action == "last":
                raise UsageError("no call was made yet", hint="call something; then :wire last shows its bytes")
            if last is not None:
                shell.output.pieces(_frames(shell, last, full=full))
                if shell.session.finding is not None:
                    shell.output.note("the dialect was found out on other connections: :wire guesses shows them")
            if action is None:
                state = "on" if _show_frames in shell.listeners else "off"
                shell.output.note(f":wire is {state}; on shows the frames of every call, send makes mistakes")


def _watch(shell: Shell, *, on: bool) -> None:
    while _show_frames in shell.listeners:
        shell.listeners.remove(_show_frames)
    if on:
        shell.listeners.append(_show_frames)
    shell.output.note("the frames of every call are shown; :wire off ends that" if on else "frames are shown no more")


def _show_frames(shell: Shell, call: Call) -> None:
    shell.output.pieces(_frames(shell, call))


def _frames(shell: Shell, call: Call, *, full: bool = False) -> Iterator[Fragment]:
    if not call.trace.attempts:
        yield FAINT, "nothing was sent"
        yield "", "\n"
        return
    yield from render_call(call, shell.width or _WIDTH, shell.session.book.dialects, full=full)


def _provoke(shell: Shell, name: MistakeName, call: str, rate: float | None) -> None:
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
                shell.output.pieces(_event(event, data, named, shell.width or _WIDTH))
    except KeyboardInterrupt:
        raise Cancelled("cancelled: the connection was closed") from None
    right, text = judge(name, events)
    lines = textwrap.wrap(visible(text), shell.width or _WIDTH, break_on_hyphens=False)
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
