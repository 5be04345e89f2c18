"""Commands that explain calls: `:why` in words, `:wire` by their bytes and by mistakes on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

import click

from rpcshell.client.errors import UsageError
from rpcshell.commands.groups import LOOK
from rpcshell.shell.command import CALL, command
from rpcshell.shell.why.mistakes import MISTAKES, MistakeName

if TYPE_CHECKING:
    from rpcshell.shell.call import Call
    from rpcshell.shell.shell import Shell

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
    # Most sessions never ask.
    from rpcshell.shell.why.evidence import gather
    from rpcshell.shell.why.explanation import render_explanation

    evidence = gather(call, shell.session, shell.supervisor)
    shell.output.pieces(render_explanation(evidence, shell.text_width))
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
    from rpcshell.commands.wire import frames_of, frames_of_finding, provoke

    match action:
        case "on" | "off":
            _watch(shell, on=action == "on")
        case "guesses":
            shell.output.pieces(frames_of_finding(shell, full=full))
        case "send":
            if fault is None:
                hint = f'there are {", ".join(MISTAKES)}; :wire send split ping <"a": 1>'
                raise UsageError(":wire send takes the name of a fault", hint=hint)
            provoke(shell, cast("MistakeName", fault), call, rate)
        case _:
            last = shell.journal.last
            if last is None and action == "last":
                raise UsageError("no call was made yet", hint="call something; then :wire last shows its bytes")
            if last is not None:
                shell.output.pieces(frames_of(shell, last, full=full))
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
    from rpcshell.commands.wire import frames_of

    shell.output.pieces(frames_of(shell, call))
