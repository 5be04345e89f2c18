"""How the line being typed is read: what it may refer to, what could stand in it, and what of it is secret.

All of this takes the language, so that `context` loads it with the first key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from rpcshell.client.dialects.registry import prefixes
from rpcshell.line.catalog import EMPTY_CATALOG
from rpcshell.line.language import CallLine, CommandLine, expand_alias, method_text
from rpcshell.line.masking import Known, masked_places
from rpcshell.line.method_index import MENU
from rpcshell.line.suggest import Surroundings, list_paths, suggest
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rpcshell.line.catalog import Catalog
    from rpcshell.line.language import Line
    from rpcshell.line.reply_values import ReplyValues
    from rpcshell.line.suggest import PathChoice, Suggestion
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.session import Session


class LineReading(msgspec.Struct, eq=False, kw_only=True):
    """Reads lines of a session; its fields are those of the `LineContext` that makes it."""

    session: Session
    load_commands: Callable[[], CommandRegistry]
    workers: Callable[[], Sequence[tuple[str, str]]]
    variables: Mapping[str, Any]
    aliases: Mapping[str, str]
    reply_values: ReplyValues | None
    read: Callable[[str], Line]
    helpless: Callable[[], bool]

    @property
    def catalog(self) -> Catalog:
        """What the target is known to offer at this moment."""
        return EMPTY_CATALOG if self.helpless() else self.session.catalog

    def known(self) -> Known:
        """What tells the secrets in a line."""
        return Known(self.catalog.param_names, self.aliases)

    def masked_places(self, text: str) -> list[int]:
        """Where a line that was kept in the history lacks its secrets."""
        return masked_places(text, self.known())

    def expanded(self, text: str) -> tuple[Line, int]:
        """What a text means where it begins with an alias, and how far what follows the alias has moved."""
        return expand_alias(self.read(text), self.aliases)

    def question(self, text: str) -> str:
        """The line that asks about what is being typed."""
        match self.read(text).body:
            case CallLine(method=name) if self.session.method(name) is not None:
                return f":doc {method_text(name)}"
            case CommandLine() as typed if (command := self.load_commands().meant(typed)[0]) is not None:
                return f":help {command.name}"
        return ":help"

    def suggestions(self, text: str, cursor: int, **slow: Any) -> Iterator[Suggestion]:
        """As much as there is room for in a menu; `slow` has fields of `Surroundings` that a disk or server tells."""
        return suggest(self.read(text), cursor, replace(self.surroundings(), **slow), limit=MENU)

    def paths(self, typed: str) -> Iterable[PathChoice]:
        """What a path may become; this waits for the disk."""
        return list_paths(typed)

    def prefixes(self, typed: str) -> list[str]:
        """What may stand before an address: for dialects of other packages all that is installed is looked through."""
        return prefixes(typed, self.session.book.dialects)

    def surroundings(self) -> Surroundings:
        """What a line can refer to at this moment; nobody is asked for it."""
        helpless = self.helpless()
        return Surroundings(
            self.catalog,
            self.load_commands().specs,
            targets=self._targets,
            workers=self.workers,
            events=self._events,
            variables={} if helpless else self.variables,
            aliases=self.aliases,
            settings=self.session.settings,
            reply_values=None if helpless else self.reply_values,
        )

    def _events(self) -> list[tuple[str, str]]:
        """What the server may say unasked, and what it has said, with one line on each."""
        unasked = self.session.unasked
        seen = {} if unasked is None or self.helpless() else unasked.events.names()
        found = dict(self.catalog.events)
        for name, times in seen.items():
            found[name] = " · ".join(filter(None, (found.get(name), f"came {count_of(times, 'time')}")))
        return list(found.items())

    def _targets(self) -> tuple[str, ...]:
        """The server that was started here first, then the instances of the fleet."""
        server, fleet = self.session.server, self.session.fleet
        own = server.addresses if server is not None else ()
        instances = [str(instance.target) for instance in fleet.instances] if fleet is not None else []
        return tuple(dict.fromkeys([*own, *instances, *self.session.book.names()]))
