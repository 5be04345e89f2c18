"""Connecting a shell: its session to a target, and then the lines that the target's configuration has for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcshell.client.errors import ShellError
from rpcshell.shell.output import Diverted

if TYPE_CHECKING:
    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.shell.address_book import Destination
    from rpcshell.shell.shell import Shell

__all__ = ["connect"]


def connect(
    shell: Shell,
    target: Target | str,
    *,
    plain: bool | None = None,
    probe_again: bool = False,
    tls: TlsFiles | None = None,
) -> None:
    """Connect as `Session.connect` does, and run the target's lines, whose results are not shown.

    They are run again before the first call on a connection that had to be made anew.

    Raises:
        ShellError: As `Session.connect`, or what one of the lines raised; the connection stays.
    """
    shell.session.connect(
        target, plain=plain, probe_again=probe_again, tls=tls, prepare=lambda found: _prepare(shell, found)
    )


def _prepare(shell: Shell, found: Destination) -> None:
    """Run the lines of a target."""
    quiet = shell.derived(output=Diverted(shell.output, shell.settings, indented=False))
    for number, line in enumerate(found.init, 1):
        try:
            quiet.execute(line)
        except ShellError as error:
            error.message = f"line {number} of init of {found.name} failed: {error.message}"
            raise
