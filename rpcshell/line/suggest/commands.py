"""Completion of `:commands`, their options and their arguments."""

import re
from collections.abc import Callable, Iterator, Sequence

from rpcshell.guides import GUIDES
from rpcshell.line.language import CallLine, CommandLine, Line, Word, parse
from rpcshell.line.suggest.names import (
    Suggestion,
    SuggestionKind,
    as_typed,
    as_word,
    matching,
    suggest_methods,
    suggest_paths,
)
from rpcshell.line.suggest.surroundings import ArgumentSpec, CommandSpec, OptionSpec, Surroundings
from rpcshell.line.suggest.variables import preview
from rpcwire.socket_names import meant_name, written_name

_LEAD = ":_ "
"""Makes a command line of any text, so that it is cut into words."""

_KINDS = (("unix:", "a Unix socket"), ("tls://", "TLS over TCP"), ("exec:", "a child"), ("https://", "HTTP"))
"""What an address may begin with, and what that is."""

_NEGATIVE = re.compile(r"-\d+(?:\.\d*)?|-\.\d+")
"""A number below zero, which is no option."""

CallsInside = Callable[[Line, int, int], Iterator[Suggestion]]
"""Suggests for the call that begins at a place in a line, at a cursor."""


def suggest_command_names(typed: str, start: int, end: int, commands: Sequence[CommandSpec]) -> Iterator[Suggestion]:
    """Commands that begin with what was typed, then those that hold it; with their colon.

    Where nothing was typed they stand in their groups, and of a command of several kinds there is one.
    """
    if typed:
        found = matching(sorted(commands, key=lambda command: command.name), typed, lambda command: command.name)
    else:
        found = [command for command in commands if " " not in command.name]
    widest = max((len(command.group) for command in found), default=0)
    for command in found:
        meta = command.summary if typed or not widest else f"{command.group:<{widest}} · {command.summary}"
        yield Suggestion(f":{command.name}", start, end, f":{command.name}", meta, "command")


def suggest_command_words(
    line: Line, command: CommandLine, cursor: int, around: Surroundings, calls: CallsInside
) -> Iterator[Suggestion]:
    """What could stand at the cursor behind the name of a command."""
    spec, meant = command.meant(around.command)
    if cursor <= meant.name_end:
        # The second word of a name is still being typed.
        spec, meant = around.command(command.name), command
    if spec is None:
        return
    before = [word for word in meant.words if word.end < cursor]
    current = next((word for word in meant.words if word.start <= cursor <= word.end), None)
    start, end = (current.start, current.end) if current is not None else (cursor, cursor)
    raw = line.text[start:cursor]
    typed = as_typed(raw)

    positionals, pending, options_over = _read_words(before, spec)
    values = _Values(around, spec.name, positionals[-1].text if positionals else "")
    for word, argument in zip([*positionals, None], spec.arguments, strict=False):
        if argument.kind == "call" and pending is None and (word is not None or not typed.startswith("-")):
            yield from calls(line, word.start if word is not None else start, cursor)
            return
    if pending is not None:
        yield from values.of(pending, raw, start, end)
        return
    if not options_over and typed.startswith("-"):
        name, equals, _ = raw.partition("=")
        option = spec.option(as_typed(name))
        if equals:
            if option is not None and option.takes_value and start + len(name) < cursor:
                yield from values.of(option, raw[len(name) + 1 :], start + len(name) + 1, end)
            return
        yield from _options(spec, typed, before, start, end)
        return
    argument_here = _argument_at(spec, len(positionals))
    if argument_here is not None:
        yield from values.of(argument_here, raw, start, end)
    if not typed and not options_over:
        yield from _options(spec, "", before, start, end)


def inner_call(command: CommandLine, spec: CommandSpec) -> int | None:
    """Where in the line of a command the call begins that it takes, or None where there is none yet."""
    positionals, _, _ = _read_words(command.words, spec)
    for word, argument in zip(positionals, spec.arguments, strict=False):
        if argument.kind == "call":
            return word.start
    return None


def options_behind(text: str, spec: CommandSpec) -> int:
    """Where a command's own options begin behind a call, as in `:bench ping -c 8`; the text's length where none do."""
    if parse(text).blocking is None:
        return len(text)
    body = parse(_LEAD + text).body
    for word in body.words[1:] if isinstance(body, CommandLine) else ():
        start = word.start - len(_LEAD)
        if word.quoted or spec.option(word.text.partition("=")[0]) is None:
            continue
        before = parse(text[:start])
        if before.blocking is None and isinstance(before.body, CallLine):
            return start
    return len(text)


def _read_words(words: Sequence[Word], spec: CommandSpec) -> tuple[list[Word], OptionSpec | None, bool]:
    """The positional words, the option that still wants its value, and whether `--` was there."""
    positionals: list[Word] = []
    pending: OptionSpec | None = None
    options_over = False
    for word in words:
        if pending is not None:
            pending = None
        elif options_over or not word.text.startswith("-") or word.text == "-" or _NEGATIVE.fullmatch(word.text):
            positionals.append(word)
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

    def __init__(self, around: Surroundings, command: str, former: str) -> None:
        self._around = around
        self._command = command
        self._former = former

    def of(self, spec: OptionSpec | ArgumentSpec, raw: str, start: int, end: int) -> Iterator[Suggestion]:
        """Values for what was typed so far, quotes included, to replace `start` to `end`."""
        typed = as_typed(raw)
        if spec.choices:
            choices = [(choice, self._about(spec, choice)) for choice in spec.choices]
            yield from _matching(choices, typed, start, end, "argument")
            return
        match spec.kind:
            case "path":
                yield from suggest_paths(raw, start, end, self._around.paths)
            case "target":
                targets = [(target, "target") for target in self._around.targets()]
                yield from _matching(targets, typed, start, end, "argument")
                yield from self._place(typed, start, end, {target for target, _ in targets})
            case "worker":
                yield from _matching(self._around.workers(), typed, start, end, "argument")
            case "event":
                yield from _matching(self._around.events(), typed, start, end, "argument")
            case "method":
                yield from suggest_methods(typed, start, end, self._around.catalog)
            case "command":
                for found in suggest_command_names(typed.lstrip(":"), start, end, self._around.commands):
                    name = found.text.removeprefix(":")
                    yield Suggestion(name, start, end, name, found.meta, "argument")
                guides = [(name, about) for name, about in GUIDES.items() if typed and name.startswith(typed)]
                yield from _matching(guides, typed, start, end, "argument")
                methods = suggest_methods(typed, start, end, self._around.catalog) if typed else ()
                yield from (method for method in methods if method.text.startswith(typed))
            case "setting" | "setting_value":
                yield from self._setting(spec.kind, typed, start, end)
            case "variable":
                known = self._around.variables
                names = [(name, preview(known[name])) for name in known]
                yield from _matching(names, typed, start, end, "variable")
            case "alias":
                yield from _matching(list(self._around.aliases.items()), typed, start, end, "alias")

    def _about(self, spec: OptionSpec | ArgumentSpec, choice: str) -> str:
        """What there is to say of a choice, which may be a kind of the command."""
        if isinstance(spec, OptionSpec):
            return spec.help
        kind = self._around.command(f"{self._command} {choice}")
        return "" if kind is None else kind.summary

    def _place(self, typed: str, start: int, end: int, known: set[str]) -> Iterator[Suggestion]:
        """What an address may begin with, or go on with: dialects, kinds of addresses, files of sockets."""
        spoken, colon, rest = typed.rpartition(":")
        if not colon:
            dialects = [(one, "dialect") for one in self._around.dialects(typed)]
            for choice, meta in [*dialects, *(kind for kind in _KINDS if typed and kind[0].startswith(typed))]:
                yield Suggestion(choice, start, end, choice, meta, "argument")
        elif spoken.rpartition(":")[2] == "unix":
            for path in self._around.paths(meant_name(rest)):
                text = f"{spoken}:{written_name(path.text)}"
                if text not in known:
                    yield Suggestion(as_word(text), start, end, written_name(path.name), path.meta, "path")
        elif spoken:
            known_kinds = dict(_KINDS)
            for choice in self._around.dialects(typed):
                kind = choice.removeprefix(f"{spoken}:")
                yield Suggestion(choice, start, end, kind, known_kinds.get(kind, ""), "argument")

    def _setting(self, kind: str, typed: str, start: int, end: int) -> Iterator[Suggestion]:
        settings = self._around.settings
        if settings is None:
            return
        name, equals, value = typed.partition("=")
        if kind == "setting" and equals:
            kind, start, typed = "setting_value", start + len(name) + 1, value
        else:
            name = self._former
        if kind == "setting":
            listed = [(one, f"{settings.text(one)} · {settings.setting(one).help}") for one in settings.names]
            yield from _matching(listed, typed.replace("-", "_"), start, end, "argument")
        elif name in settings.names:
            now = settings.text(name)
            values = [(choice, "now" if choice == now else "") for choice in settings.choices(name)]
            yield from _matching(values, typed, start, end, "argument")


def _matching(
    choices: Sequence[tuple[str, str]], typed: str, start: int, end: int, kind: SuggestionKind
) -> Iterator[Suggestion]:
    """Choices, with what to say of each, that begin with what was typed, then those that hold it."""
    for choice, meta in dict.fromkeys(matching(choices, typed, lambda choice: choice[0])):
        yield Suggestion(as_word(choice), start, end, choice, meta, kind)
