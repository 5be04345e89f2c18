"""The command about the files that a language server knows from this shell: `:lsp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rpcshell.client.dialect_names import dialect_name
from rpcshell.client.errors import NotConnected, UsageError
from rpcshell.commands.groups import TALK
from rpcshell.shell.command import command
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell


@command("lsp", group=TALK, examples=(":lsp open src/app.py", ":lsp", ":lsp close src/app.py"))
@click.argument("action", metavar="[open|close]", type=click.Choice(("open", "close")), required=False)
@click.argument("files", metavar="[FILE]", type=click.Path(), nargs=-1)
def lsp(shell: Shell, *, action: str | None, files: tuple[str, ...]) -> None:
    """Open, list and close the files of a language server.

    The server gets the text of a file that is opened, and before each call what has changed in it on the disk. A call
    that names a FILE, as in textDocument/hover file=FILE line=0 character=0, opens it by itself. What is wrong in one
    the server tells by an event, textDocument/publishDiagnostics. Alone, the command lists the files that are open.
    """
    session = shell.session
    if session.target is None:
        raise NotConnected
    from rpcshell.client.dialects.lsp import CLOSE, OPEN

    # What is spoken where nobody has named it, may have to be found out first.
    session.method(OPEN)
    if dialect_name(session.target.dialect) != "lsp":
        raise UsageError(f"{session.target} is no language server", hint="the target of one begins with lsp:")

    if action is None:
        names = session.complete(CLOSE, "file", "", {}, wait=True)
        if names or shell.for_programs:
            shell.show_table([{"file": name} for name in names], names)
        else:
            shell.output.note("no file is open")
        return
    if not files:
        raise UsageError(f"{action} which file?", hint=f"as in :lsp {action} FILE")
    for file in files:
        session.call(OPEN if action == "open" else CLOSE, {"file": file})
        shell.output.note(f"{visible(file)} is {'open' if action == 'open' else 'closed'}")
