"""Lines that are typed by habit, as in other programs or without a command's colon, before they are taken for calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcshell.client.errors import UsageError
from rpcshell.line.habits import Habit, habit
from rpcshell.line.language import CommandLine, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.line.masking import Known
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.session import Session


def meant_line(
    text: str, session: Session, known: Callable[[], Known], commands: Callable[[], CommandRegistry] | None
) -> str | None:
    """The line that a habit of other programs stands for here, such as `exit`; None where it is an ordinary line.

    At a prompt `commands` loads the commands, which are typed without their colon too; scripts have none.

    Raises:
        UsageError: It is a habit, and what to type here is only said.
    """
    if (found := habit(text)) is None:
        if commands is not None:
            _refuse_command_without_colon(text, session, known(), commands)
        return None
    if _may_be_called(found, session, at_prompt=commands is not None):
        return None
    if not found.line:
        from rpcshell.line.masking import mask_message

        raise UsageError(f"{found.word} is no method", hint=mask_message(found.say, text))
    return found.line


def _may_be_called(found: Habit, session: Session, *, at_prompt: bool) -> bool:
    """Whether a word may be a method: the target has one, or has not said what it has.

    Nobody who wants to leave has to wait for a server.
    """
    if session.target is None:
        return False
    if at_prompt:
        methods = session.catalog.methods
        return found.word in methods if methods else not found.line
    return session.method(found.word) is not None or not session.catalog.methods


def _refuse_command_without_colon(
    text: str, session: Session, known: Known, commands: Callable[[], CommandRegistry]
) -> None:
    methods = session.catalog.methods
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    listed = methods or session.target is None
    if listed and word not in methods and (hint := command_without_colon(word, text, known, commands)):
        raise UsageError(f"{word} is no method", hint=hint)


def command_without_colon(word: str, text: str, known: Known, commands: Callable[[], CommandRegistry]) -> str | None:
    """How a line is written whose first word is a command's and no method's."""
    found = commands().find(word) if word.isalpha() else None
    if found is None:
        return None
    line = parse(f":{text.strip()}").body
    if isinstance(line, CommandLine) and line.words and not (found.spec.arguments or found.spec.options):
        return f":{word} is the command, and takes nothing more"
    from rpcshell.line.masking import mask_line

    return f":{mask_line(text.strip(), known)} is the command"
