"""Telling whoever waits for a connection that it takes its time, and how one ended that nobody used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcshell.client.errors import ShellError
from rpcshell.client.target import ChildTarget
from rpcshell.shell.elapsed import elapsed_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.client.target import Target
    from rpcshell.shell.unasked import LoggedLine

__all__ = ["how_it_ended", "waiting_for"]


def waiting_for(name: str, strays: Callable[[], Sequence[LoggedLine]]) -> Callable[[], str]:
    """What there is to tell of a target by now, from this moment on; a child's own last line goes with it."""
    so_far = elapsed_text(f"connecting to {name}")

    def text() -> str:
        said = strays()
        last = f" · {said[-1].text}" if said else ""
        return f"{so_far()}{last}"

    return text


def how_it_ended(name: str, target: Target, failure: Exception) -> str:
    """What ended the connection to a target, and what the next call does about it."""
    # A `ShellError` names the target by itself.
    what = failure.message if isinstance(failure, ShellError) else f"{name}: {failure}"
    hint = getattr(failure, "hint", None)
    anew = "starts it anew" if isinstance(target, ChildTarget) else "makes a new connection"
    return f"{what}{f'; {hint}' if hint else ''}; the next call {anew}"
