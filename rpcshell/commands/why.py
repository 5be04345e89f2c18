"""The command that explains a call that failed, hung or was slow: `:why`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError
from rpcshell.shell.command import command
from rpcshell.shell.output import show_pieces

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell

_WIDTH: Final = 100
"""Columns that lines fill where there is no screen."""


@command("why", group="Calls", examples=(":why", ":why 12"))
@click.argument("number", metavar="[N]", type=click.IntRange(min=1), required=False)
def why(shell: Shell, *, number: int | None) -> None:
    """Explain why the last call failed, hung or was slow.

    In one screen: the reason and what to do about it, where the time went, and, of a server of yours on this machine,
    what the worker was doing, what happened to it, and the last lines of its log. With N the call that has this number
    in :history.
    """
    from rpcshell.shell.why.explanation import render_explanation
    from rpcshell.shell.why.inquiry import inquire

    observer = shell.observer
    call = observer.last if number is None else observer.find(number)
    if call is None:
        if number is None or observer.last is None:
            raise UsageError("no call was made yet", hint="call something; then :why tells where its time went")
        raise UsageError(f"there is no call {number} to explain", hint=":history lists the calls that are known")
    inquiry = inquire(call, observer, shell.session, shell.supervisor)
    width = shutil.get_terminal_size().columns if shell.interactive else _WIDTH
    show_pieces(shell.output, render_explanation(call, inquiry, width))
    failed = observer.latest_failed()
    if number is None and call.record.outcome == "ok" and failed is not None:
        shell.output.note(f"the last call that failed was {failed.record.number}: :why {failed.record.number}")
