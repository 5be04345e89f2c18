"""Suggestions as prompt_toolkit completes with them. What to suggest is `suggest`'s to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.completion import Completer, Completion

from rpcshell.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from rpcshell.commands import CommandRegistry
    from rpcshell.language import Line
    from rpcshell.session import Session

__all__ = ["LineCompleter"]

_MOST_METHODS: Final = 100
"""prompt_toolkit measures everything in the menu at every key, and nobody scrolls further than this."""


class LineCompleter(Completer):
    """Completes a line from what is known at this moment; nothing here waits.

    Args:
        read: parses a text.
        session: has the catalog.
        commands: gives the commands.
    """

    def __init__(self, read: Callable[[str], Line], session: Session, commands: Callable[[], CommandRegistry]) -> None:
        self._read = read
        self._session = session
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could stand at the cursor."""
        from rpcshell.suggest import suggest

        cursor = document.cursor_position
        session = self._session
        targets = session.server.addresses if session.server is not None else ()
        line = self._read(document.text)
        specs = self._commands().specs
        for found in suggest(line, cursor, session.catalog, specs, targets=targets, limit=_MOST_METHODS):
            # What is right of the cursor stays, so the part of it that is there already is not put in again.
            rest = document.text[cursor : found.end]
            text = found.text.removesuffix(rest) if rest else found.text
            yield Completion(
                text,
                start_position=found.start - cursor,
                display=visible(found.display),
                display_meta=visible(found.meta),
                style=f"class:{found.kind}",
            )
