"""The command that looks back at the calls and lines that were typed: `:history`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError
from rpcshell.commands.groups import LOOK
from rpcshell.commands.methods import matcher
from rpcshell.line.masking import mask_line
from rpcshell.shell.command import command
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.view.escape import visible
from rpcshell.view.units import call_time
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.shell.call import Call
    from rpcshell.shell.shell import Shell

_SHOWN: Final = 20
"""Entries that are shown unless more are asked for."""

_NARROWEST: Final = 40


@command(
    "history", group=LOOK, examples=(":history", ":history order", ":history '*.get*' -n 5", ":history --lines spawn")
)
@click.argument("pattern", required=False)
@click.option("-n", "--number", "most", metavar="N", type=click.IntRange(min=1), help="Show the last N, not 20.")
@click.option("--lines", is_flag=True, help="Lines instead of calls, :commands and earlier sessions too.")
def history(shell: Shell, *, pattern: str | None, most: int | None, lines: bool) -> None:
    """List the last calls: when, how long, what came of it.

    With PATTERN those whose lines hold it, or match it where it has a *, ? or [. The numbers are those of the calls in
    this session, as in the names that :export gives to tests. Secrets are masked.
    """
    fits = matcher(pattern) if pattern is not None else None
    limit = most or _SHOWN
    if lines:
        found = [line for line in _typed_lines(shell) if fits is None or fits(line)][-limit:]
        rows = [_one_row(line) for line in found]
    else:
        records = [record for record in shell.journal if fits is None or fits(record.masked_line)][-limit:]
        rows = _listed(records) if records else []
    if not rows:
        what = "lines were kept" if lines else "calls were made"
        reason = f"no {what} yet" if pattern is None else f"nothing matches {pattern!r}"
        hint = None if lines or shell.lines is None else "--lines looks through the lines of earlier sessions"
        raise UsageError(reason, hint=hint)
    shell.output.text("\n".join(rows))


def _typed_lines(shell: Shell) -> Iterator[str]:
    if shell.lines is None:
        raise UsageError("lines are kept by the prompt; a script has none", hint=":history lists its calls")
    return (mask_line(line, shell.known) for line in shell.lines())


def _listed(records: Sequence[Call]) -> list[str]:
    cells = [
        (
            str(record.number),
            time.strftime("%H:%M:%S", time.localtime(record.began)),
            _outcome(record),
            call_time(record.elapsed),
            _one_row(record.masked_line),
        )
        for record in records
    ]
    width = max(columns_of_terminal() - 1, _NARROWEST)
    number, _, outcome, elapsed, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    rows = []
    for first, when, what, took, line in cells:
        start = f"{first:>{number}}  {when}  {what:<{outcome}}  {took:>{elapsed}}  "
        rows.append(start + cut(line, max(width - len(start), _NARROWEST)))
    return rows


def _outcome(record: Call) -> str:
    match record.outcome:
        case "error":
            return f"error {record.code}"
        case "failed":
            return "no reply"
        case outcome:
            return outcome


def _one_row(line: str) -> str:
    """A line that may have several rows, as one."""
    return visible(" ".join(row.strip() for row in line.split("\n")))
