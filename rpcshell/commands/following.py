"""What `:logs -f` and `:events -f` have in common, which go on above the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell

SHOWN_A_SECOND: Final = 30
"""Lines, or events, that are shown above the prompt in a second; nobody reads more."""

FOLLOW: Final = click.option("-f", "--follow", is_flag=True, help="Go on with what comes, above the prompt.")


def refuse_diverted(shell: Shell) -> None:
    """See that what is followed goes to the screen.

    Raises:
        UsageError: It would go to a file or a program.
    """
    if shell.output.diverted:
        raise UsageError("what is followed has no end, so it cannot go to a file or a program", hint="leave out -f")
