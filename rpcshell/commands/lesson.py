"""The command that teaches what the models of a server are about: `:lesson`."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError
from rpcshell.shell.command import command

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell

_STEPS: Final = 10
"""How many there are; the steps themselves are imported when they are shown."""

_SCRIPT_WIDTH: Final = 80


@command("lesson", group="Shell", examples=(":lesson", ":lesson 3", ":lesson --language zh", ":lesson --list"))
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
    if not titles:
        _require_server()
    from rpcshell.lab.lesson.course import Course
    from rpcshell.lab.lesson.languages import choose_language, load_texts

    course = Course(shell.output, load_texts(language or choose_language(os.environ)), _columns)
    if titles:
        course.list_steps()
    elif yes:
        course.run(step or 1)
    else:
        _require_person(shell)
        course.walk(step or 1)


def _require_server() -> None:
    # Told by the platform's name alone, a type checker would leave out what follows elsewhere.
    if not hasattr(os, "pidfd_open"):
        raise UsageError(
            "the lesson starts servers, and the server runs on Linux only", hint=":lesson --list shows what it is about"
        )


def _require_person(shell: Shell) -> None:
    from rpcshell.view.streams import is_terminal

    if shell.output.diverted or not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise UsageError(":lesson waits for keys, and nobody can press any", hint="add --yes to run all of it")


def _columns() -> int:
    from rpcshell.view.streams import is_terminal

    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else _SCRIPT_WIDTH
