"""Commands about the shell itself: `:help`, `:quit`, `:lesson`, `:edit`."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError
from rpcshell.commands.groups import SHELL, TALK
from rpcshell.commands.method_page import columns, describe_method, example_call
from rpcshell.commands.methods import unknown_method
from rpcshell.guides import GUIDES, read_guide_here
from rpcshell.line.language import CommandLine, parse
from rpcshell.line.near_names import near_names
from rpcshell.shell.command import COMMAND, METHOD, command
from rpcshell.shell.discovery import introduction
from rpcshell.shell.session import Leave
from rpcshell.shell.terminal import columns_of_terminal, is_terminal
from rpcshell.version import __version__
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from rpcshell.shell.command import Command
    from rpcshell.shell.shell import Shell

_Rows = Sequence[tuple[str, str]]
_CALLS: Final[_Rows] = (
    ('ping {"a": 1}', "a method and its params as JSON"),
    ('ping <"a": 1>', "the same: < and > may stand for braces"),
    ("ping {a: 1, 'b': [2,],}", "keys without quotes, single quotes, trailing commas"),
    ("add a=1 b=2", "params as key=value pairs"),
    ("now", "no params"),
    ("o = order.get id=1", "keep the result under a name"),
    ("add a=$o.id b=$_.items[0].quantity", "use it, or the last result"),
    ('echo text=$"no ${o.id}"', "the same inside a text"),
    ("order.list | jq .[0]", "give the result to another program"),
    ("order.list > all.json", "write it to a file; >> adds to one"),
    ("!ls -l", "a line of the system's shell"),
    ("# anything", "a comment"),
)
_KEYS: Final[_Rows] = (
    ("Tab", "complete; behind a method, go through its params"),
    ("Down, Up", "choose from the menu; Enter takes what was chosen"),
    ("Enter", "run the line, or open a row inside brackets"),
    ("Alt-Enter", "open a row"),
    ("Up, Ctrl-R", "go back to earlier lines; search them"),
    ("Right", "take the line that is suggested"),
    ("Ctrl-C", "cancel a call, or clear the line"),
    ("Ctrl-D", "leave"),
    ("F1", "explain what is being typed"),
    ("F2", "show or hide what the method being typed does"),
    ("F3", "show results as JSON, as tables, or raw"),
    ("F4", "keys as in emacs or as in vi"),
    ("Ctrl-X Ctrl-E", "open the line in $EDITOR"),
)


_TOPICS: Final = {"calls": ("what a line can be", _CALLS), "keys": ("what keys do", _KEYS)}
"""Pages of help that are of no command."""

_STEPS: Final = 10
"""How many there are; the steps themselves are imported when they are shown."""

_SCRIPT_WIDTH: Final = 80

_WIDEST: Final = 100
"""Columns of a page that is read."""

_USAGE: Final = 20
"""Columns of the list of commands for how each is used; one line holds this and its summary."""


@command(
    "help",
    group=SHELL,
    aliases=("h", "?"),
    examples=(":help", ":help topics", ":help spawn", ":help drill kill", ":help ping"),
)
@click.argument("words", metavar="[NAME]", type=COMMAND, nargs=-1)
def show_help(shell: Shell, *, words: tuple[str, ...]) -> None:
    """List the commands, or explain what a NAME stands for.

    It is a command, a topic or guide (`:help topics` lists them), or a method of the server.
    """
    name = " ".join(words).removeprefix(":")
    if not name:
        shell.output.text(_overview(shell))
    elif (found := shell.commands.find(name)) is not None:
        shell.output.text(found.help())
    elif name in _TOPICS:
        summary, rows = _TOPICS[name]
        shell.output.text("\n".join([f"{summary.capitalize()}:", *columns(rows)]))
    elif name == "topics":
        topics = {**{each: summary for each, (summary, _) in _TOPICS.items()}, **GUIDES}
        shell.output.text("\n".join(columns([(f":help {each}", summary) for each, summary in topics.items()])))
    elif name in GUIDES:
        from rpcshell.view.guide_page import guide_page

        shell.output.pieces(guide_page(read_guide_here(name), min(_columns(), _WIDEST)))
    elif (method := shell.session.method(name)) is not None:
        shell.output.text(describe_method(method))
    elif (found := _command_of_line(shell, name)) is not None:
        shell.output.text(found.help())
    else:
        raise _unknown_name(shell, name)


def _command_of_line(shell: Shell, text: str) -> Command | None:
    """The command of a line such as `wire send`; none where a command such as `drill` has others below it."""
    line = parse(f":{text}").body
    if not isinstance(line, CommandLine):
        return None
    found, line = line.meant(shell.commands.find)
    below = found is not None and any(each.name.startswith(f"{found.name} ") for each in shell.commands)
    return None if below else found


def _unknown_name(shell: Shell, name: str) -> UsageError:
    commands = [name for command in shell.commands for name in (command.name, *command.aliases)]
    near = near_names(name.lower(), [*_TOPICS, *GUIDES, *commands]) or shell.session.catalog.index.near(name)
    hint = f"did you mean :help {near[0]}?" if near else ":help lists the commands, :help topics what else there is"
    return UsageError(f"there is no help for {visible(name)}", hint=hint)


@command("quit", group=SHELL, aliases=("exit", "q"))
def leave(shell: Shell) -> None:
    """Leave the shell.

    A server that was spawned here stops, unless it was started with --keep.
    """
    raise Leave


@command("version", group=SHELL)
def show_version(shell: Shell) -> None:
    """Tell the version of the shell, and of the server."""
    session = shell.session
    lines = [f"rpcshell {__version__} · Python {platform.python_version()} · {platform.system()} {platform.release()}"]
    if session.target is not None:
        # A connection that was just made may not have told yet.
        session.method("")
        about = " · ".join(introduction(session.target.dialect or "native", session.catalog))
        lines.append(visible(f"{session.target} · {about}"))
    shell.output.text("\n".join(lines))


def _usage(command: Command) -> str:
    usage = command.spec.outline
    return usage if len(usage) <= _USAGE else f":{command.name} …"


def _overview(shell: Shell) -> str:
    # A command of several kinds is listed once.
    groups = {group: [one for one in known if " " not in one.name] for group, known in shell.commands.groups.items()}
    lines = ['A line is a call, such as ping {"a": 1} or add a=1 b=2, a :command, or !ls.']
    for group, commands in groups.items():
        lines.append(group)
        lines += columns([(_usage(command), command.summary) for command in commands], first=_USAGE)
    lines.append(":help NAME explains a command or method; :help topics lists what else there is.")
    return "\n".join(lines)


@command("lesson", group=SHELL, examples=(":lesson", ":lesson 3", ":lesson --language zh", ":lesson --list"))
@click.argument("step", type=click.IntRange(1, _STEPS), required=False)
@click.option(
    "-l", "--language", type=click.Choice(("en", "zh")), help="English or Chinese; what the locale says, if not given."
)
@click.option("-y", "--yes", is_flag=True, help="Show all steps from STEP on without waiting for a key.")
@click.option("--list", "titles", is_flag=True, help="Only list the steps.")
def lesson(shell: Shell, *, step: int | None, language: str | None, yes: bool, titles: bool) -> None:
    """Walk through the models of a server, step by step.

    What waits, what cures it, what a crash costs: each step starts servers of its own, shows what really happens
    there, and ends them. Your session is left alone.
    Enter goes on, b back, a number to that step, q leaves.
    """
    # Told by the platform's name alone, a type checker would leave out what follows elsewhere.
    if not titles and not hasattr(os, "pidfd_open"):
        reason = "the lesson starts servers, and the server runs on Linux only"
        raise UsageError(reason, hint=":lesson --list shows what it is about")
    from rpcshell.lab.lesson.course import TEXTS, Course, choose_language

    course = Course(shell.output, TEXTS[language or choose_language(os.environ)], _columns)
    if titles:
        course.list_steps()
    elif yes:
        course.run(step or 1)
    elif shell.at_terminal:
        course.walk(step or 1)
    else:
        raise UsageError(":lesson waits for keys, and nobody can press any", hint="add --yes to run all of it")


def _columns() -> int:
    return columns_of_terminal() if is_terminal(sys.stdout) else _SCRIPT_WIDTH


@command("edit", group=TALK, examples=(":edit", ":edit order.create"))
@click.argument("method", metavar="[METHOD]", type=METHOD, required=False)
def edit_line(shell: Shell, *, method: str | None) -> None:
    """Edit a line, or a call of METHOD, in your editor.

    That is $VISUAL or $EDITOR. Without METHOD it is the line before. What is saved is in the prompt afterwards, and
    Enter runs it. Ctrl-X Ctrl-E opens the line being typed.
    """
    if shell.compose is None:
        raise UsageError(":edit is for the prompt", hint="a script is edited as a file")
    if method is None:
        shell.compose(None)
        return
    known = shell.session.method(method)
    if known is None and shell.session.catalog.methods:
        raise unknown_method(shell.session.catalog, method)
    shell.compose(f"{method} {{}}" if known is None else example_call(known))
