"""How the line being typed is read: what could stand in it, and what it asks about.

All of this takes the language, so that what draws the first prompt imports it with the first key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from rpcshell.line.language import CallLine, CommandLine, expand_alias, method_text
from rpcshell.line.suggest import Surroundings, suggest
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.line.language import Line
    from rpcshell.line.suggest import Suggestion
    from rpcshell.prompt.context import LineContext


def expanded(context: LineContext, text: str) -> tuple[Line, int]:
    """What a text means where it begins with an alias, and how far what follows the alias has moved."""
    return expand_alias(context.read(text), context.aliases)


def question(context: LineContext, text: str) -> str:
    """The line that asks about what is being typed."""
    match context.read(text).body:
        case CallLine(method=name) if context.session.method(name) is not None:
            return f":doc {method_text(name)}"
        case CommandLine() as typed if (command := typed.meant(context.commands.find)[0]) is not None:
            return f":help {command.name}"
    return ":help"


def suggestions(context: LineContext, text: str, cursor: int, **slow: Any) -> Iterator[Suggestion]:
    """As much as there is room for in a menu; `slow` has fields of `Surroundings` that a disk or server tells."""
    return suggest(context.read(text), cursor, replace(surroundings(context), **slow))


def surroundings(context: LineContext) -> Surroundings:
    """What a line can refer to at this moment; nobody is asked for it."""
    return Surroundings(
        context.catalog,
        context.commands.specs,
        targets=lambda: _targets(context),
        workers=context.workers,
        events=lambda: _events(context),
        variables={} if context.helpless else context.variables,
        aliases=context.aliases,
        settings=context.settings,
        reply_values=None if context.helpless else context.reply_values,
    )


def _events(context: LineContext) -> list[tuple[str, str]]:
    """What the server may say unasked, and what it has said, with one line on each."""
    unasked = context.session.unasked
    seen = {} if unasked is None or context.helpless else unasked.events.names()
    found = dict(context.catalog.events)
    for name, times in seen.items():
        found[name] = " · ".join(filter(None, (found.get(name), f"came {count_of(times, 'time')}")))
    return list(found.items())


def _targets(context: LineContext) -> tuple[str, ...]:
    """The server that was started here first, then the instances of the fleet."""
    session = context.session
    own = session.server.addresses if session.server is not None else ()
    instances = [str(instance.target) for instance in session.fleet.instances] if session.fleet is not None else []
    return tuple(dict.fromkeys([*own, *instances, *session.book.names()]))
