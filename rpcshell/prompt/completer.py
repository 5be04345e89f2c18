"""Suggestions as prompt_toolkit completes with them. What to suggest is `suggest`'s to say.

Folders are listed, and servers asked, without waiting for them: a network drive may take a minute, a key press may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.completion import Completer, Completion

from rpcshell.prompt.context import LONGEST_LIVE
from rpcshell.prompt.late_listing import PATIENCE, LateListing
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from rpcshell.line.suggest import PathChoice, ValueQuestion
    from rpcshell.prompt.context import LineContext

__all__ = ["LineCompleter", "PathListing"]


class LineCompleter(Completer):
    """Completes a line from what is known at this moment; nothing here waits.

    Without `paths` and `dialects`, whoever types waits for the disk; without `server_values`, no server is asked for
    values.
    """

    def __init__(
        self,
        context: LineContext,
        paths: PathListing | None = None,
        server_values: Callable[[ValueQuestion], Sequence[str]] | None = None,
        dialects: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        self._context = context
        self._paths = paths
        self._server_values = server_values
        self._dialects = dialects

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could stand at the cursor."""
        if len(document.text) > LONGEST_LIVE:
            return
        from rpcshell.line.method_index import MENU
        from rpcshell.line.suggest import suggest

        cursor = document.cursor_position
        around = self._context.surroundings(self._paths, self._server_values, self._dialects)
        for found in suggest(self._context.read(document.text), cursor, around, limit=MENU):
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


class PathListing(LateListing[str, "PathChoice"]):
    """Lists paths; `on_late` and the patience are those of `LateListing`."""

    def __init__(
        self,
        on_late: Callable[[], object],
        listing: Callable[[str], Iterable[PathChoice]] | None = None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(listing or _list_paths, on_late, patience=patience)


def _list_paths(typed: str) -> Iterable[PathChoice]:
    from rpcshell.line.suggest import list_paths

    return list_paths(typed)
