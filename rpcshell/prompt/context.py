"""What the parts of the prompt share: all that the line being typed can refer to. How it is read is `reading`'s."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rpcshell.line.catalog import Catalog
    from rpcshell.line.language import Line
    from rpcshell.line.masking import Known
    from rpcshell.line.reply_values import ReplyValues
    from rpcshell.line.suggest import PathChoice, ValueQuestion
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


class LineContext(msgspec.Struct, eq=False):
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

    @property
    def catalog(self) -> Catalog:
        """What the target is known to offer at this moment."""
        if not self.helpless:
            return self.session.catalog
        from rpcshell.line.catalog import EMPTY_CATALOG

        return EMPTY_CATALOG

    @property
    def commands(self) -> CommandRegistry:
        """The commands, loaded at first use."""
        return self.load_commands()

    def known(self) -> Known:
        """What tells the secrets in a line."""
        from rpcshell.line.masking import Known

        return Known(self.catalog.param_names, self.aliases)

    def paths(self, typed: str) -> Iterable[PathChoice]:
        """What a path may become; this waits for the disk."""
        from rpcshell.line.suggest import list_paths

        return list_paths(typed)

    def prefixes(self, typed: str) -> list[str]:
        """What may stand before an address: for dialects of other packages all that is installed is looked through."""
        from rpcshell.client.dialects.registry import prefixes

        return prefixes(typed, self.session.book.dialects)

    def ask_server(self, question: ValueQuestion) -> Sequence[str]:
        """What the target says that a parameter may be; this waits for it."""
        return self.session.complete(question.method, question.param, question.typed, dict(question.others))
