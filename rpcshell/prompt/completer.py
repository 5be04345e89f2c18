"""Suggestions as prompt_toolkit completes with them. What to suggest is `suggest`'s to say."""

from collections.abc import Iterable
from typing import Any

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from rpcshell.prompt.context import LONGEST_LIVE, LineContext
from rpcshell.view.escape import visible


class LineCompleter(Completer):
    """Completes a line from what is known at this moment.

    `slow` has what a disk or a server has to be asked for, by its field of `Surroundings`. A `LateListing` there has no
    key press wait for it: a network drive may take a minute.
    """

    def __init__(self, context: LineContext, **slow: Any) -> None:
        self._context = context
        self._slow = slow

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could stand at the cursor."""
        if len(document.text) > LONGEST_LIVE:
            return
        from rpcshell.prompt.reading import suggestions

        cursor = document.cursor_position
        for found in suggestions(self._context, document.text, cursor, **self._slow):
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
