"""Completion of the `rpcserver` command in bash, zsh and fish, on click's own machinery."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["SHELLS", "print_completion"]

SHELLS: Final = ("bash", "zsh", "fish")

_VARIABLE: Final = "_RPCSERVER_COMPLETE"
"""The environment variable by which the shells' scripts ask for completions, as click calls it."""


def print_completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    """Print what a shell evaluates to complete the command, where that was asked for, and leave."""
    del param
    if shell is None or ctx.resilient_parsing:
        return
    from click.shell_completion import get_completion_class

    if (found := get_completion_class(shell)) is not None:
        maker = found(ctx.command, {}, "rpcserver", _VARIABLE)
        # click's own `source` would start bash to look at its version; any of this century will do.
        click.echo(maker.source_template % maker.source_vars(), nl=False)
    ctx.exit()
