"""Who is told of a session: that something has changed, lines of information, and what becomes of connections."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcshell.shell.discovery import Discovery


class Reports(NamedTuple):
    """Who is told what becomes of a connection to a target, by any thread.

    The last two are given the connection first, as it may be one that was left meanwhile.
    """

    note: Callable[[str], object] | None = None
    """Of what a user should know while a call lasts."""
    progress: Callable[[str], object] | None = None
    """How it looks while connecting takes its time; with "" in the end."""
    described: Callable[[object, Discovery], object] | None = None
    """What came of asking the target what it offers."""
    ended: Callable[[object, str, bool], object] | None = None
    """How an unused connection ended, and whether the next will too."""


NO_REPORTS: Final = Reports()
"""Nobody is told."""


class Listeners:
    """Keeps the functions that want to be told, and tells them, until it is `silent`."""

    def __init__(self) -> None:
        self.silent = False
        self._note_listeners: list[Callable[[str], None]] = []
        self._change_listeners: list[Callable[[], None]] = []
        self._progress: Callable[[str], object] | None = None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, from any thread, when the target, the state or the catalog changed."""
        self._change_listeners.append(callback)

    def on_note(self, callback: Callable[[str], None]) -> None:
        """Have `callback` called, from any thread, with each line of information, until the session is closed."""
        self._note_listeners.append(callback)

    def on_progress(self, callback: Callable[[str], object]) -> None:
        """Have `callback` called, from any thread, with how connecting goes that takes its time; with "" in the end."""
        self._progress = callback

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Tell no lines of information meanwhile."""
        before, self.silent = self.silent, True
        try:
            yield
        finally:
            self.silent = before

    def _changed(self) -> None:
        for callback in self._change_listeners:
            callback()

    def _note(self, text: str) -> None:
        # A thread that writes to a stream while Python is shutting down ends it with an abort.
        if not self.silent:
            for callback in self._note_listeners:
                callback(text)
