"""What a command line was meant as that click does not take."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import click

from rpcshell.shell.command import meant_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["meant"]

_BEFORE_PARAMS: Final = 2
"""The words of a command line before its params: a target and a method."""


def meant(error: click.ClickException, arguments: Sequence[str]) -> str | None:
    """How the command line would be right, where that can be told."""
    if isinstance(error, click.NoSuchOption) and not error.possibilities:
        return _with_param(error.option_name, arguments)
    return meant_choice(error)


def _with_param(option: str, arguments: Sequence[str]) -> str | None:
    """With a `--` before what is no option, and stands behind a target and a method as params do."""
    at = next((at for at, word in enumerate(arguments) if word.startswith(option)), 0)
    if at < _BEFORE_PARAMS or any(word.startswith("-") for word in arguments[:at]):
        return None
    said = "a param that begins with - stands behind --, after all options"
    if any(word.startswith("--") for word in arguments[at:]):
        return said
    return f"{said}: {shlex.join(['rpcshell', *arguments[:at], '--', *arguments[at:]])}"
