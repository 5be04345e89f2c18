"""Completion of the `rpcshell` command in bash, zsh and fish, on click's own machinery.

Completion inside the shell's prompt is `rpcshell.line.suggest`'s.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from rpcshell.app.options import COMPLETION
from rpcshell.client.errors import UsageError
from rpcshell.servers.folders import state_folder
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.address_book import AddressBook
from rpcshell.shell.config_reading import load_config
from rpcshell.view.settings import Settings

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    import click

_PROGRAM: Final = "rpcshell"
_BENCH: Final = "bench"
"""The word behind which the options of a benchmark follow."""

SHELLS: Final = ("bash", "zsh", "fish")

_BASH: Final = """\
%(complete_func)s() {
    local IFS=$'\\n' kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("$value"); [[ $value == *= ]] && compopt -o nospace 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
        esac
    done < <(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")
}
complete -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class _Bash(BashComplete):
    """Bash cuts words at colons, of which targets are full; click's own class leaves it at that."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and what is there of the current one."""
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        words = split_arg_string(line)[1:]
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        self._prefix = _before_break(incomplete, os.environ.get("COMP_WORDBREAKS", ""))
        return words, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """A line for the script; what bash takes for another word is left out."""
        return f"{item.type},{str(item.value).removeprefix(self._prefix)}"


def completes_bench(environment: MutableMapping[str, str]) -> bool:
    """Whether completions of `rpcshell bench` are asked for; the line in the environment then begins with `bench`.

    The shells' scripts give the line as click has them do it: bash its text and the cursor, the others its words.
    """
    line = environment.get("COMP_LINE", environment.get("COMP_WORDS", ""))
    program, _, rest = line.partition(" ")
    if not rest.lstrip().startswith(f"{_BENCH} "):
        return False
    for name in environment.keys() & {"COMP_LINE", "COMP_WORDS"}:
        environment[name] = environment[name].removeprefix(program).lstrip()
    for name, by in (("COMP_POINT", len(line) - len(rest.lstrip())), ("COMP_CWORD", 1)):
        # fish gives the word itself here, not its number.
        if environment.get(name, "").isdecimal():
            environment[name] = str(int(environment[name]) - by)
    return True


def completion_script(shell: str, command: click.Command) -> str:
    """What a shell evaluates to complete the command."""
    if (found := get_completion_class(shell)) is None:
        raise UsageError(f"there is no completion for {shell}")
    maker = found(command, {}, _PROGRAM, COMPLETION)
    # click's own would start bash to look at its version; any of this century will do.
    return maker.source_template % maker.source_vars()


def complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Targets with names, those that were used before, and files."""
    del param
    names: tuple[str, ...] = ()
    if ctx.params.get("spawn") is None:
        with contextlib.suppress(UsageError):
            book = AddressBook(load_config(ctx.params.get("config")), lambda: TargetMemory(state_folder))
            names = book.names()
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    if ctx.command.name == _PROGRAM and not ctx.params.get("words") and _BENCH.startswith(incomplete):
        found.append(CompletionItem(_BENCH))
    return [*found, CompletionItem(incomplete, type="file")]


def complete_setting(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """NAME=VALUE of the settings."""
    del ctx, param
    settings = Settings()
    name, equals, value = incomplete.partition("=")
    if not equals:
        return [CompletionItem(f"{s.name}=", help=s.help) for s in settings.items() if s.name.startswith(name)]
    with contextlib.suppress(UsageError):
        return [CompletionItem(f"{name}={text}") for text in settings.choices(name) if text.startswith(value)]
    return []


def _before_break(word: str, breaks: str) -> str:
    """What of a word bash has cut off: up to the last character at which it begins another."""
    end = max((word.rfind(mark) for mark in ":=" if mark in breaks), default=-1)
    return word[: end + 1]
