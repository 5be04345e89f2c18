"""What a run of `rpcshell` was asked to do, and the usual command lines.

All others, and what they mean, are in `rpcshell.app.arguments`.
"""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.dialect_names import names_native
from rpcshell.client.errors import UsageError
from rpcshell.client.target import Target, UnixTarget
from rpcshell.shell.address_book import AddressBook
from rpcshell.shell.config import Config, UnclearArguments
from rpcshell.shell.config_reading import usable_config
from rpcshell.shell.terminal import is_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.client.target import TlsFiles
    from rpcshell.lab.bench.options import BenchOptions
    from rpcshell.servers.spawn import SpawnOptions
    from rpcshell.shell.command import CommandRegistry

_SUFFIX: Final = ".rpc"
"""What a script of the current folder ends in, where no slash says that it is one."""

_NEGATIVE: Final = r"-\.?[0-9].*"
"""How a number begins that is a param, and no option."""

_APP: Final = re.compile(r"(.+\.py)(?::\w+)?")

COMPLETION: Final = "_RPCSHELL_COMPLETE"
"""By this variable the user's shell asks for completions of the command, whose line is in other variables."""

_OPTIONS: Final = frozenset({"help", "spawn", "version"})
"""What an option does for which others have a command."""


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

    @property
    def interactive(self) -> bool:
        """Whether the run is a prompt: nothing else says what to run, and there is a terminal on both sides."""
        given = self.lines or self.file is not None or self.bench is not None
        return not given and is_terminal(sys.stdin) and is_terminal(sys.stdout)


def plain_options(arguments: Sequence[str]) -> Options | None:
    """The options of the usual command lines, of words and -c alone; None of any other, which click has to read.

    Click takes longer to import than a call takes.

    Raises:
        UsageError: They make no sense.
    """
    words: list[str] = []
    lines: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "-c":
            line = next(left, None)
            if line is None or line.startswith("-"):
                return None
            lines.append(line)
        elif argument.startswith("-") and not (words[1:] and re.fullmatch(_NEGATIVE, argument)):
            return None
        else:
            words.append(argument)
    config = usable_config()
    found = places(words, config)
    return Options(target=found.target, file=found.file, lines=found.lines_to_run(lines), config=config)


class Places(msgspec.Struct, frozen=True):
    """What the words of a command line are: where to, and which file or line to run there, if any."""

    target: Target | str | None = None
    file: Path | None = None
    line: str | None = None

    def lines_to_run(self, lines: Sequence[str]) -> tuple[str, ...]:
        """The lines given with -c, or the one that the words are.

        Raises:
            UsageError: The words are already something to run.
        """
        if lines and (self.file is not None or self.line is not None):
            raise UsageError("give a FILE, a METHOD or -c, and only one of them")
        return tuple(lines) if self.line is None else (self.line,)


def places(words: Sequence[str], config: Config, *, spawned: bool = False) -> Places:
    """Tell TARGET, FILE and METHOD apart: a single word may be a target or a file.

    It is a file only where it looks like the path of one: nothing that happens to be in the current folder is run for
    the name of a target, or of a method.

    Raises:
        UsageError: The words make no sense.
    """
    app = _APP.fullmatch(words[0]) if words and words[0] not in config.targets else None
    if app and (spawned or _existing_file(app[1])):
        what, how = ("method", "") if spawned else ("target", "--spawn 10 ")
        raise UsageError(f"{words[0]} is neither a {what} nor a file of calls", hint=f"{how}--app {words[0]} serves it")
    try:
        return _run(None, words) if spawned else _places(words, config)
    except UsageError as error:
        if config.problems:
            raise UnclearArguments(error, config.problems) from error
        raise


def _places(words: Sequence[str], config: Config) -> Places:
    if not words:
        return Places()
    first, *rest = words
    word = first.removeprefix(":")
    if first != word and word.isalpha() and word != "spawn":
        return _run(None, words)
    if word in _OPTIONS and first not in config.targets:
        raise UsageError(f"there is no target {first!r}", hint=f"rpcshell --{' '.join([word, *rest])} does that")
    if rest:
        return _run(_target(first, config), rest)
    try:
        target = _target(first, config)
    except UsageError:
        if first not in config.refused and (file := _existing_file(first)) is not None:
            if _looks_like_path(first):
                return Places(file=file)
            raise UsageError(f"there is no target {first!r}", hint=f"./{first} runs the file of that name") from None
        if first not in config.refused and first.endswith(_SUFFIX):
            return Places(file=_script_file(first))
        raise
    if isinstance(target, UnixTarget) and _looks_like_path(first):
        if (file := _existing_file(first)) is not None:
            return Places(file=file)
        if first.endswith(_SUFFIX) and not Path(first).is_socket():
            return Places(file=_script_file(first))
    return Places(target)


def _run(target: Target | str | None, words: Sequence[str]) -> Places:
    """What is to be run at a target: a file, or else a call."""
    if not words:
        return Places(target)
    method, *params = words
    # A name of a method may have a slash in it too.
    names_file = method.endswith(_SUFFIX) or method.startswith((".", "/", "~"))
    if not params and (names_file or ("/" in method and _existing_file(method) is not None)):
        return Places(target, file=_script_file(method))
    # A line that is given as such needs no language yet.
    from rpcshell.app.call_words import call_of_words

    return Places(target, line=call_of_words(method, params))


def _target(text: str, config: Config) -> Target | str:
    """A target; one with a name, or whose dialect is named where a target does not show that, stays a text."""
    if text in config.targets:
        return text
    # It knows near names, and what is wrong with a target that was left out.
    target = AddressBook(config).find(text).target
    return text if names_native(text) and not target.dialect else target


def _looks_like_path(text: str) -> bool:
    return not text.startswith("unix:") and ("/" in text or text.endswith(_SUFFIX))


def load_commands() -> CommandRegistry:
    """Import the commands, which a run without any does not need."""
    from rpcshell.commands import load_commands as load

    return load()


def _existing_file(name: str) -> Path | None:
    path = Path(name)
    # It may be longer than a name may be, or in a folder that may not be entered.
    with contextlib.suppress(OSError, ValueError):
        # A pipe is a script too: the shell's <(…) makes one.
        if path.is_file() or path.is_fifo():
            return path
    return None


def _script_file(name: str) -> Path:
    path = Path(name)
    try:
        there = path.exists()
    except OSError as error:
        raise UsageError(f"the script file cannot be read: {(error.strerror or str(error)).lower()}: {name}") from error
    if not there:
        raise UsageError(f"no such script file: {name}")
    if path.is_dir():
        raise UsageError(f"{name} is a folder, not a script file")
    return path
