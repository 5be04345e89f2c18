"""The manual of the server, which the shell of the same wheel has."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

__all__ = ["show_manual"]


def show_manual(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Become the shell that shows its guide to the server, where that was asked for."""
    del param
    if wanted and not ctx.resilient_parsing:
        # Without the current folder on the path: what is called rpcshell there is none.
        os.execv(sys.executable, [sys.executable, "-P", "-m", "rpcshell", "--man", "server"])  # noqa: S606 - it needs none
