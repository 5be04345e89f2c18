"""Completion as a pure function: a parsed line and a cursor in, suggestions out. Nothing waits for a network."""

import re
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from rpcshell.line.language import (
    CallLine,
    CommandLine,
    Empty,
    Line,
    Pipe,
    Redirect,
    TokenKind,
    expand_alias,
    leading_word,
    parse,
)
from rpcshell.line.method_index import MENU
from rpcshell.line.suggest.commands import inner_call, options_behind, suggest_command_names, suggest_command_words
from rpcshell.line.suggest.names import (
    PathChoice,
    Suggestion,
    list_paths,
    matching,
    named,
    suggest_aliases,
    suggest_methods,
    suggest_paths,
)
from rpcshell.line.suggest.params import suggest_params
from rpcshell.line.suggest.place import Spot, find_spot
from rpcshell.line.suggest.surroundings import (
    ArgumentSpec,
    CommandSpec,
    OptionSpec,
    Surroundings,
    ValueKind,
    ValueQuestion,
)
from rpcshell.line.suggest.variables import suggest_variables

__all__ = [
    "ArgumentSpec",
    "CommandSpec",
    "OptionSpec",
    "PathChoice",
    "Spot",
    "Suggestion",
    "Surroundings",
    "ValueKind",
    "ValueQuestion",
    "find_spot",
    "inner_call",
    "list_paths",
    "matching",
    "options_behind",
    "suggest",
]

_LAST_WORD = re.compile(r"(?<=\s)\S+$")
"""Of a command of the system's shell: what it is given, and not its own name."""


def suggest(line: Line, cursor: int, around: Surroundings) -> Iterator[Suggestion]:
    """What could stand at the cursor, best first; the order depends on nothing but the arguments.

    A cursor outside the line means its nearest end. What is right of it counts too, such as keys that are there
    already.
    """
    cursor = min(max(cursor, 0), len(line.text))
    yield from _Suggester(around).at(line, cursor)


class _Suggester:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def at(self, line: Line, cursor: int) -> Iterator[Suggestion]:
        if _in_comment(line, cursor):
            return
        if not isinstance(line.body, Empty) and (sink := line.body.sink) is not None and cursor >= sink.start:
            yield from self._sink(line, sink, cursor)
            return
        variables = suggest_variables(line, cursor, self._around.variables)
        if variables is not None:
            yield from variables
            return
        if (word := leading_word(line)) is not None and cursor > word[1]:
            meant, by = expand_alias(line, self._around.aliases)
            if meant is not line:
                plain = _Suggester(replace(self._around, aliases={}))
                yield from _moved(plain.at(meant, cursor + by), -by)
                return
        match line.body:
            case Empty():
                yield from self._first_words("", cursor, cursor)
                yield from self._command_names("", cursor, cursor)
            case CommandLine() as command:
                yield from self._command(line, command, cursor)
            case CallLine() as call if cursor <= call.end:
                if cursor >= call.start:
                    typed = line.text[call.start : cursor].lstrip("\"'")
                    yield from self._first_words(typed, call.start, call.end)
            case CallLine() as call:
                yield from self._params(line, call, cursor)

    def _first_words(self, typed: str, start: int, end: int) -> Iterator[Suggestion]:
        aliases = {name: line for name, line in self._around.aliases.items() if not name.startswith(":")}
        yield from suggest_aliases(typed, start, end, aliases)
        yield from suggest_methods(typed, start, end, self._around.catalog)

    def _command_names(self, typed: str, start: int, end: int) -> Iterator[Suggestion]:
        yield from suggest_aliases(f":{typed}", start, end, self._around.aliases)
        yield from suggest_command_names(typed, start, end, self._around.commands)

    def _sink(self, line: Line, sink: Pipe | Redirect, cursor: int) -> Iterator[Suggestion]:
        if cursor > sink.end:
            return
        if isinstance(sink, Redirect):
            yield from suggest_paths(line.text[sink.start : cursor], sink.start, sink.end, self._around.paths)
        elif word := _LAST_WORD.search(line.text, sink.start, cursor):
            yield from suggest_paths(word[0], word.start(), cursor, self._around.paths)

    def _command(self, line: Line, command: CommandLine, cursor: int) -> Iterator[Suggestion]:
        if cursor < command.name_start:
            return
        if cursor <= command.name_end:
            typed = line.text[command.name_start : cursor]
            yield from self._command_names(typed, command.name_start - 1, command.name_end)
            return
        yield from suggest_command_words(line, command, cursor, self._around, self._call_in)

    def _call_in(self, line: Line, start: int, cursor: int) -> Iterator[Suggestion]:
        """Suggestions for a line that begins inside another, as in `:watch 2 user.get id=1`."""
        yield from _moved(self.at(parse(line.text[start:]), cursor - start), start)

    def _params(self, line: Line, call: CallLine, cursor: int) -> Iterator[Suggestion]:
        catalog = self._around.catalog
        if (method := catalog.methods.get(call.method)) is not None:
            yield from suggest_params(line, call, cursor, method, self._around)
        else:
            # A name with blanks, typed without the quotes that it needs.
            typed = line.text[call.start : cursor]
            yield from named(catalog.index.beginning(typed, MENU), call.start, cursor, catalog)


def _moved(suggestions: Iterator[Suggestion], by: int) -> Iterator[Suggestion]:
    for found in suggestions:
        yield msgspec.structs.replace(found, start=found.start + by, end=found.end + by)


def _in_comment(line: Line, cursor: int) -> bool:
    return any(token.start < cursor <= token.end for token in line.tokens if token.kind is TokenKind.COMMENT)
