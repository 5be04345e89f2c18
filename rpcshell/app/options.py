"""What a run of `rpcshell` was asked to do. How that is written on the command line is in `rpcshell.app.arguments`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import UsageError
from rpcshell.client.target import Target, UnixTarget, names_native
from rpcshell.shell.address_book import AddressBook
from rpcshell.shell.config import Config
from rpcshell.view.plain import is_terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rpcshell.client.target import TlsFiles
    from rpcshell.lab.bench.options import BenchOptions
    from rpcshell.servers.spawn import SpawnOptions
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.config import ConfigProblem
    from rpcshell.shell.target_config import TargetConfig

__all__ = ["Options", "load_commands", "places"]

_SUFFIX: Final = ".rpc"
"""What a script of the current folder ends in, where no slash says that it is one."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One run. The target is a text where it is a name of the configuration."""

    target: Target | str | None = None
    file: Path | None = None
    lines: tuple[str, ...] = ()
    spawn: SpawnOptions | None = None
    bench: tuple[str, BenchOptions] | None = None
    keep_going: bool = False
    plain: bool = False
    debug: bool = False
    tls: TlsFiles | None = None
    settings: tuple[tuple[str, str], ...] = ()
    config: Config = Config()
    problem: ConfigProblem | None = None

    @property
    def interactive(self) -> bool:
        """Whether the run is a prompt: nothing else says what to run, and there is a terminal on both sides."""
        given = self.lines or self.file is not None or self.bench is not None
        return not given and is_terminal(sys.stdin) and is_terminal(sys.stdout)


def places(
    first: str | None, second: str | None, *, spawned: bool, names: Mapping[str, TargetConfig] = MappingProxyType({})
) -> tuple[Target | str | None, Path | None]:
    """Tell TARGET and FILE apart: a single argument may be either.

    It is a file only where it looks like the path of one: nothing that happens to be in the current folder is run for
    the name of a target.

    Raises:
        UsageError: They make no sense.
    """
    if first is None:
        return None, None
    if spawned:
        if second is not None:
            raise UsageError("a server started with --spawn is the target: give at most a FILE")
        return None, _script_file(first)
    if second is not None:
        return first if first in names else _target(first), _script_file(second)
    if first in names:
        return first, None
    try:
        target = _target(first)
    except UsageError:
        if (file := _existing_file(first)) is not None:
            if _looks_like_path(first):
                return None, file
            raise UsageError(f"there is no target {first!r}", hint=f"./{first} runs the file of that name") from None
        if names:
            AddressBook(names).find(first)  # knows near names
        raise
    if isinstance(target, UnixTarget) and _looks_like_path(first) and (file := _existing_file(first)) is not None:
        return None, file
    return target, None


def _target(text: str) -> Target | str:
    """A target; one whose dialect is named stays a text where a target does not show that."""
    target = Target.parse(text)
    return text if names_native(text) and not target.dialect else target


def _looks_like_path(text: str) -> bool:
    return not text.startswith("unix:") and ("/" in text or text.endswith(_SUFFIX))


def load_commands() -> CommandRegistry:
    """Import the commands, which a run without any does not need."""
    from rpcshell.commands import load_commands as load

    return load()


def _existing_file(name: str) -> Path | None:
    path = Path(name)
    try:
        # A pipe is a script too: the shell's <(…) makes one.
        script = path.is_file() or path.is_fifo()
    except ValueError:
        return None
    return path if script else None


def _script_file(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise UsageError(f"no such script file: {name}")
    if path.is_dir():
        raise UsageError(f"{name} is a folder, not a script file")
    return path
