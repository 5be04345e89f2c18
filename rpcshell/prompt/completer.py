"""Suggestions as prompt_toolkit completes with them. What to suggest is `suggest`'s to say.

Folders are listed without waiting for them: a network drive may take a minute, a key press may not.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from prompt_toolkit.completion import Completer, Completion

from rpcshell.client.threads import thread_for
from rpcshell.prompt.context import LONGEST_LIVE
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from rpcshell.line.suggest import PathChoice
    from rpcshell.prompt.context import LineContext

__all__ = ["LineCompleter", "PathListing"]

_MOST_METHODS: Final = 40
"""prompt_toolkit measures everything in the menu at every key, and nobody scrolls further than this."""

_PATIENCE: Final = 0.03
"""Seconds; a disk answers in far less."""


class LineCompleter(Completer):
    """Completes a line from what is known at this moment; nothing here waits.

    Without `paths`, whoever types waits for the disk.
    """

    def __init__(self, context: LineContext, paths: PathListing | None = None) -> None:
        self._context = context
        self._paths = paths

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could stand at the cursor."""
        if len(document.text) > LONGEST_LIVE:
            return
        from rpcshell.line.suggest import suggest

        cursor = document.cursor_position
        around = self._context.surroundings(self._paths)
        for found in suggest(self._context.read(document.text), cursor, around, limit=_MOST_METHODS):
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


class PathListing:
    """Lists paths in a thread, and waits for it only as long as nobody notices.

    `on_late` is called in that thread when paths came too late; asking again gives them. Patience is in seconds.
    """

    def __init__(
        self,
        on_late: Callable[[], object],
        listing: Callable[[str], Iterable[PathChoice]] | None = None,
        *,
        patience: float = _PATIENCE,
    ) -> None:
        self._on_late = on_late
        self._listing = listing
        self._patience = patience
        self._lock = threading.Lock()
        self._wanted = ""
        self._busy = False
        self._late = False
        self._ready: tuple[str, Sequence[PathChoice]] | None = None

    def __call__(self, typed: str) -> Sequence[PathChoice]:
        """The paths that begin with a text; nothing if the disk is too slow."""
        first = threading.Event()
        with self._lock:
            if (paths := self._take(typed)) is not None:
                return paths
            self._wanted = typed
            busy, self._busy = self._busy, True
        if not busy:
            if thread_for(partial(self._list, first), "paths") is None:
                self._list(first)
            first.wait(self._patience)
        # A disk that is slow already gets nothing more to do at once: the same thread comes to what is wanted by then.
        with self._lock:
            paths = self._take(typed)
            self._late = paths is None
        return () if paths is None else paths

    def _take(self, typed: str) -> Sequence[PathChoice] | None:
        if self._ready is None or self._ready[0] != typed:
            return None
        paths = self._ready[1]
        self._ready = None
        return paths

    def _list(self, first: threading.Event) -> None:
        from rpcshell.line.suggest import list_paths

        listing = self._listing or list_paths
        finished = late = False
        while not finished:
            typed = self._wanted
            paths = tuple(listing(typed))
            with self._lock:
                self._ready = (typed, paths)
                finished = self._wanted == typed
                self._busy = not finished
                late = self._late
            first.set()
        if late:
            self._on_late()
