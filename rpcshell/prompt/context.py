"""What the parts of the prompt share: how the line being typed is read, and all that it can refer to."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rpcshell.line.catalog import Catalog
    from rpcshell.line.language import Line
    from rpcshell.line.masking import Known
    from rpcshell.line.reply_values import ReplyValues
    from rpcshell.line.suggest import PathChoice, ValueQuestion
    from rpcshell.prompt.reading import LineReading
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.session import Session
    from rpcshell.view.settings import Settings

LONGEST_LIVE: Final = 20_000
"""Characters of the longest line that is looked into at every key; one of this length takes a tenth of a second."""

_PARSED: Final = 4
"""Texts whose parse is kept: a key press asks for the line, and for its part before the cursor, many times."""


def _parse(text: str) -> Line:
    from rpcshell.line.language import parse

    return parse(text)


class LineContext(msgspec.Struct, eq=False, dict=True):
    """Where a line is typed. The commands are asked for when the first key is pressed, not before."""

    session: Session
    load_commands: Callable[[], CommandRegistry]
    workers: Callable[[], Sequence[tuple[str, str]]] = tuple
    variables: Mapping[str, Any] = {}
    aliases: Mapping[str, str] = {}
    reply_values: ReplyValues | None = None
    read: Callable[[str], Line] = msgspec.field(default_factory=lambda: lru_cache(_PARSED)(_parse))
    helpless: bool = False
    """Whether nothing that a server said is used while a line is typed: it was too much for the shell."""

    @property
    def settings(self) -> Settings:
        """How the prompt looks, and what its keys do."""
        return self.session.settings

    @cached_property
    def reading(self) -> LineReading:
        """What there is to know of a line with the language, which the first key loads."""
        from rpcshell.prompt.reading import LineReading

        return LineReading(
            session=self.session,
            load_commands=self.load_commands,
            workers=self.workers,
            variables=self.variables,
            aliases=self.aliases,
            reply_values=self.reply_values,
            read=self.read,
            helpless=lambda: self.helpless,
        )

    @property
    def catalog(self) -> Catalog:
        """What the target is known to offer at this moment."""
        return self.reading.catalog if self.helpless else self.session.catalog

    @property
    def commands(self) -> CommandRegistry:
        """The commands, loaded at first use."""
        return self.load_commands()

    def known(self) -> Known:
        """What tells the secrets in a line."""
        return self.reading.known()

    def paths(self, typed: str) -> Iterable[PathChoice]:
        """What a path may become; this waits for the disk."""
        return self.reading.paths(typed)

    def prefixes(self, typed: str) -> list[str]:
        """What may stand before an address: for dialects of other packages all that is installed is looked through."""
        return self.reading.prefixes(typed)

    def ask_server(self, question: ValueQuestion) -> Sequence[str]:
        """What the target says that a parameter may be; this waits for it."""
        return self.session.complete(question.method, question.param, question.typed, dict(question.others))
