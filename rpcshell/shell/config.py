"""The user's configuration: named targets, dialects, settings, keys and aliases, and what is wrong with it.

What a setting may be is `rpcshell.view.settings`'s to say, what a key does the prompt's. It comes out of
`config_reading`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rpcshell.client.dialects.envelope import Envelope
    from rpcshell.shell.target_config import TargetConfig


class ConfigProblem(UsageError):
    """The configuration cannot be used; the message begins with the file and the line."""

    def __init__(self, path: Path, reason: str, *, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f':{line}'}: {reason}", hint=hint)
        self.line = line


class UnclearArguments(UsageError):
    """A command line makes no sense, and something that it may be about was left out of the configuration.

    The problems say what, and why.
    """

    def __init__(self, error: UsageError, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__(error.message, hint=error.hint)
        # The error of the target is this one itself, and told once.
        self.problems = tuple(problem for problem in problems if problem is not error)


class Config(msgspec.Struct, frozen=True):
    """What the configuration says; empty without one.

    Keys have an action or a line, aliases stand for the beginning of a line. What settings and keys have is not
    checked; `lines` has the lines of the file on which they are given, by their tables and names.
    """

    targets: Mapping[str, TargetConfig] = {}
    dialects: Mapping[str, Envelope] = {}
    settings: Mapping[str, str | int | float | bool] = {}
    keys: Mapping[str, str] = {}
    aliases: Mapping[str, str] = {}
    path: Path | None = None
    """Where it is, or would be; None where there can be none."""
    lines: Mapping[tuple[str, str], int] = {}
    problems: tuple[ConfigProblem, ...] = ()
    """What is wrong in the file, and was left out, in its order."""
    refused: Mapping[str, ConfigProblem] = {}
    """What is wrong with targets that were left out, by their names."""

    def problem(self, table: str, name: str, error: UsageError) -> ConfigProblem:
        """The error for a setting or key that has no such value, or does not exist, with its place."""
        if self.path is None:
            raise error
        return ConfigProblem(self.path, error.message, line=self.lines.get((table, name)), hint=error.hint)

    def complaint(self, table: str, name: str, error: UsageError) -> str:
        """What to say of a setting or key that cannot be, with its place where the file gives it."""
        return str(self.problem(table, name, error) if (table, name) in self.lines else f"{name}: {error}")
