"""Completion as a pure function: a parsed line and a cursor in, suggestions out. Nothing waits for a network."""

from collections.abc import Iterator, Sequence

from rpcshell.catalog import Catalog
from rpcshell.language import CallLine, CommandLine, Empty, Line, TokenKind
from rpcshell.suggest.commands import suggest_command_names, suggest_command_words
from rpcshell.suggest.methods import suggest_methods
from rpcshell.suggest.params import suggest_params
from rpcshell.suggest.specs import ArgumentSpec, CommandSpec, OptionSpec, ValueKind
from rpcshell.suggest.suggestion import Suggestion, SuggestionKind

__all__ = [
    "ArgumentSpec",
    "CommandSpec",
    "OptionSpec",
    "Suggestion",
    "SuggestionKind",
    "ValueKind",
    "suggest",
]

MAX_METHODS = 500


def suggest(
    line: Line,
    cursor: int,
    catalog: Catalog,
    commands: Sequence[CommandSpec],
    *,
    targets: Sequence[str] = (),
    limit: int = MAX_METHODS,
) -> Iterator[Suggestion]:
    """What could stand at the cursor, best first; the order depends on nothing but the arguments.

    Args:
        line: The whole line; what is right of the cursor counts too, keys that are there already for one.
        cursor: In characters from 0; one outside the line means its nearest end.
        catalog: The methods of the target.
        commands: The commands of the shell.
        targets: The targets that commands may be given: names from the configuration and the like.
        limit: The greatest number of methods.
    """
    cursor = min(max(cursor, 0), len(line.text))
    if _in_comment(line, cursor):
        return
    match line.body:
        case Empty():
            yield from suggest_methods("", cursor, cursor, catalog, limit)
            yield from suggest_command_names("", cursor, cursor, commands)
        case CommandLine() as command if cursor <= command.name_end:
            if cursor >= command.name_start:
                typed = line.text[command.name_start : cursor]
                yield from suggest_command_names(typed, command.name_start - 1, command.name_end, commands)
        case CommandLine() as command:
            yield from suggest_command_words(line, command, cursor, catalog, commands, targets, limit)
        case CallLine() as call if cursor <= call.end:
            if cursor >= call.start:
                typed = line.text[call.start : cursor].lstrip("\"'")
                yield from suggest_methods(typed, call.start, call.end, catalog, limit)
        case CallLine() as call:
            if (method := catalog.methods.get(call.method)) is not None:
                yield from suggest_params(line, call, cursor, method)


def _in_comment(line: Line, cursor: int) -> bool:
    return any(token.start < cursor <= token.end for token in line.tokens if token.kind is TokenKind.COMMENT)
