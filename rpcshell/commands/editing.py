"""The command that opens a line in the user's editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rpcshell.client.errors import UsageError
from rpcshell.commands.example import example_call
from rpcshell.shell.command import METHOD, command

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell


@command("edit", group="Shell", examples=(":edit", ":edit order.create"))
@click.argument("method", metavar="[METHOD]", type=METHOD, required=False)
def edit_line(shell: Shell, *, method: str | None) -> None:
    """Edit a line, or a call of METHOD, in $VISUAL or $EDITOR.

    Without METHOD it is the line before. What is saved is in the prompt afterwards, and Enter runs it. Ctrl-X Ctrl-E
    opens the line being typed.
    """
    if shell.compose is None:
        raise UsageError(":edit is for the prompt", hint="a script is edited as a file")
    if method is None:
        shell.compose(None)
        return
    known = shell.session.method(method)
    shell.compose(f"{method} {{}}" if known is None else example_call(known))
