"""Commands about the shell itself: `:help` and `:quit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from rpcshell.commands.document import describe_method
from rpcshell.commands.registry import COMMAND, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.commands.registry import Command
    from rpcshell.executor import Shell

_CALLS: Final = (
    ('ping {"a": 1}', 'a method and its params as JSON; <"a": 1> means the same'),
    ("add a=1 b=2", "params as key=value pairs"),
)
_KEYS: Final = (
    ("Tab, arrows", "complete; Enter takes what was chosen"),
    ("Enter, Alt-Enter", "run, or open a row inside brackets; always open a row"),
    ("Up, Ctrl-R, Right", "earlier lines: go back, search, take the suggested one"),
    ("Ctrl-C, Ctrl-D", "cancel a call or clear the line; leave"),
)


@command("help", group="Shell", aliases=("h", "?"), examples=(":help", ":help spawn"))
@click.argument("name", metavar="[COMMAND]", type=COMMAND, required=False)
def show_help(shell: Shell, *, name: str | None) -> None:
    """List the commands and keys, or explain a COMMAND."""
    if name is None:
        shell.output.text(_overview(shell))
        return
    found = shell.commands.find(name.removeprefix(":"))
    method = shell.session.catalog.methods.get(name)
    if found is None and method is not None:
        shell.output.text(describe_method(method))
    else:
        shell.output.text(shell.commands.resolve(name.removeprefix(":")).help())


@command("quit", group="Shell", aliases=("exit", "q"))
def leave(shell: Shell) -> None:
    """Leave the shell.

    A server that was spawned here stops, unless it was started with --keep.
    """
    shell.exit()


def _usage(command: Command) -> str:
    arguments = [argument.name if argument.required else f"[{argument.name}]" for argument in command.spec.arguments]
    return " ".join((f":{command.name}", *(argument.upper() for argument in arguments)))


def _overview(shell: Shell) -> str:
    sections: dict[str, Sequence[tuple[str, str]]] = {"Calls": _CALLS}
    for group, commands in shell.commands.groups.items():
        sections[group] = [(_usage(command), command.summary) for command in commands]
    sections["Keys"] = _KEYS
    column = max(len(first) for rows in sections.values() for first, _ in rows)
    lines = ["A line is a call or a :command."]
    for heading, rows in sections.items():
        lines.append(heading)
        lines += [f"  {first:<{column}}  {second}" for first, second in rows]
    lines.append(":help COMMAND says more of a command, :doc METHOD of a method.")
    return "\n".join(lines)
