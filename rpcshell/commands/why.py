"""The command that explains a call that failed, hung or was slow: `:why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError
from rpcshell.shell.command import command

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
    from rpcshell.shell.why.evidence import gather
    from rpcshell.shell.why.explanation import render_explanation

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
