"""Suggestions as prompt_toolkit completes with them. What to suggest is `suggest`'s to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.completion import Completer, Completion

from rpcshell.prompt.lexer import LONGEST_LIVE
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from rpcshell.line.language import Line
    from rpcshell.line.reply_values import LearntValues
    from rpcshell.line.suggest import Surroundings
    from rpcshell.prompt.listing import PathListing
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.session import Session
    from rpcshell.view.settings import Settings

__all__ = ["LineCompleter"]

_MOST_METHODS: Final = 40
"""prompt_toolkit measures everything in the menu at every key, and nobody scrolls further than this."""


class LineCompleter(Completer):
    """Completes a line from what is known at this moment; nothing here waits.

    Args:
        read: parses a text.
        session: has the catalog.
        commands: gives the commands.
        targets: gives names and addresses of targets.
        workers: gives the numbers of the server's workers, and what to say of each.
        variables: the results that lines can name.
        aliases: lines by the words that stand for them.
        settings: what can be set.
        learnt: values of earlier replies.
        paths: lists folders; without it, whoever types waits for the disk.
    """

    def __init__(
        self,
        read: Callable[[str], Line],
        session: Session,
        commands: Callable[[], CommandRegistry],
        *,
        targets: Callable[[], Sequence[str]] = tuple,
        workers: Callable[[], Sequence[tuple[str, str]]] = tuple,
        variables: Mapping[str, Any] | None = None,
        aliases: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        learnt: LearntValues | None = None,
        paths: PathListing | None = None,
    ) -> None:
        self._read = read
        self._session = session
        self._commands = commands
        self._targets = targets
        self._workers = workers
        self._variables = {} if variables is None else variables
        self._aliases = {} if aliases is None else aliases
        self._settings = settings
        self._learnt = learnt
        self._paths = paths

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could stand at the cursor."""
        if len(document.text) > LONGEST_LIVE:
            return
        from rpcshell.line.suggest import suggest

        cursor = document.cursor_position
        line = self._read(document.text)
        specs = self._commands().specs
        for found in suggest(line, cursor, self._session.catalog, specs, self._surroundings(), limit=_MOST_METHODS):
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

    def _surroundings(self) -> Surroundings:
        from rpcshell.line.suggest import Surroundings, list_paths

        return Surroundings(
            targets=self._all_targets,
            workers=self._workers,
            variables=self._variables,
            aliases=self._aliases,
            settings=self._settings,
            learnt=self._learnt,
            paths=list_paths if self._paths is None else self._paths,
        )

    def _all_targets(self) -> tuple[str, ...]:
        """The server that was started here first."""
        server = self._session.server
        own = server.addresses if server is not None else ()
        return tuple(dict.fromkeys([*own, *self._targets()]))
