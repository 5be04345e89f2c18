"""Completion of `:commands`, their options and their arguments."""

import re
from collections.abc import Iterator, Sequence

from rpcshell.catalog import Catalog
from rpcshell.language import CommandLine, Line, Word
from rpcshell.suggest.methods import suggest_methods
from rpcshell.suggest.paths import list_paths
from rpcshell.suggest.specs import ArgumentSpec, CommandSpec, OptionSpec
from rpcshell.suggest.suggestion import Suggestion, SuggestionKind

_NEEDS_QUOTES = re.compile(r"""[\s"'\\#]""")


def suggest_command_names(typed: str, start: int, end: int, commands: Sequence[CommandSpec]) -> Iterator[Suggestion]:
    """Commands that begin with what was typed, then those that hold it; with their colon."""
    query = typed.lower()
    leading = sorted((c for c in commands if c.name.lower().startswith(query)), key=lambda c: c.name)
    holding = sorted((c for c in commands if query in c.name.lower()), key=lambda c: c.name)
    for command in dict.fromkeys([*leading, *holding]):
        yield Suggestion(f":{command.name}", start, end, f":{command.name}", command.summary, "command")


def suggest_command_words(
    line: Line,
    command: CommandLine,
    cursor: int,
    catalog: Catalog,
    commands: Sequence[CommandSpec],
    targets: Sequence[str],
    limit: int,
) -> Iterator[Suggestion]:
    """What could stand at the cursor behind the name of a command."""
    spec = next((spec for spec in commands if spec.name == command.name), None)
    if spec is None:
        return
    before = [word for word in command.words if word.end < cursor]
    current = next((word for word in command.words if word.start <= cursor <= word.end), None)
    start, end = (current.start, current.end) if current is not None else (cursor, cursor)
    typed = _typed(line.text[start:cursor])
    values = _Values(catalog, commands, targets, limit)

    positionals, pending, options_over = _read_words(before, spec)
    if pending is not None:
        yield from values.of(pending, typed, start, end)
        return
    if not options_over and typed.startswith("-"):
        name, equals, value = typed.partition("=")
        option = spec.option(name)
        if equals:
            if option is not None and option.takes_value and start + len(name) < cursor:
                yield from values.of(option, value, start + len(name) + 1, end)
            return
        yield from _options(spec, typed, before, start, end)
        return
    argument = _argument_at(spec, positionals)
    if argument is not None:
        yield from values.of(argument, typed, start, end)
    if not typed and not options_over:
        yield from _options(spec, "", before, start, end)


def _typed(raw: str) -> str:
    """What the user means by the part of a word left of the cursor: the text without its quotes."""
    return raw.replace("\\", "").replace('"', "").replace("'", "") if _NEEDS_QUOTES.search(raw) else raw


def _read_words(words: Sequence[Word], spec: CommandSpec) -> tuple[int, OptionSpec | None, bool]:
    """The number of positional words, the option that still wants its value, and whether `--` was there."""
    positionals = 0
    pending: OptionSpec | None = None
    options_over = False
    for word in words:
        if pending is not None:
            pending = None
        elif options_over or not word.text.startswith("-") or word.text == "-":
            positionals += 1
        elif word.text == "--":
            options_over = True
        else:
            name, equals, _ = word.text.partition("=")
            option = spec.option(name)
            pending = option if option is not None and option.takes_value and not equals else None
    return positionals, pending, options_over


def _argument_at(spec: CommandSpec, index: int) -> ArgumentSpec | None:
    if index < len(spec.arguments):
        return spec.arguments[index]
    last = spec.arguments[-1] if spec.arguments else None
    return last if last is not None and last.many else None


def _options(spec: CommandSpec, typed: str, before: Sequence[Word], start: int, end: int) -> Iterator[Suggestion]:
    given = {word.text.partition("=")[0] for word in before}
    for option in spec.options:
        if not option.multiple and given.intersection(option.names):
            continue
        names = [name for name in option.names if name.startswith(typed)]
        if names:
            name = max(names, key=len)
            yield Suggestion(name, start, end, ", ".join(option.names), option.help, "option")


class _Values:
    """Completes values of options and arguments by their kind."""

    def __init__(self, catalog: Catalog, commands: Sequence[CommandSpec], targets: Sequence[str], limit: int) -> None:
        self._catalog = catalog
        self._commands = commands
        self._targets = targets
        self._limit = limit

    def of(self, spec: OptionSpec | ArgumentSpec, typed: str, start: int, end: int) -> Iterator[Suggestion]:
        """Values for what was typed so far, to replace `start` to `end`."""
        meta = spec.help if isinstance(spec, OptionSpec) else ""
        if spec.choices:
            yield from _matching(spec.choices, typed, start, end, meta, "argument")
            return
        match spec.kind:
            case "path":
                for path in list_paths(typed):
                    yield Suggestion(_word(path.text), start, end, path.name, path.meta, "path")
            case "target":
                yield from _matching(self._targets, typed, start, end, "target", "argument")
            case "method":
                yield from suggest_methods(typed, start, end, self._catalog, self._limit)
            case "command":
                for found in suggest_command_names(typed.lstrip(":"), start, end, self._commands):
                    name = found.text.removeprefix(":")
                    yield Suggestion(name, start, end, name, found.meta, "argument")
            case _:
                return


def _matching(
    choices: Sequence[str], typed: str, start: int, end: int, meta: str, kind: SuggestionKind
) -> Iterator[Suggestion]:
    query = typed.lower()
    leading = [choice for choice in choices if choice.lower().startswith(query)]
    holding = [choice for choice in choices if query in choice.lower()]
    for choice in dict.fromkeys([*leading, *holding]):
        yield Suggestion(_word(choice), start, end, choice, meta, kind)


def _word(text: str) -> str:
    """A word as it is typed: quoted only where the language would read it otherwise."""
    if not _NEEDS_QUOTES.search(text):
        return text
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
