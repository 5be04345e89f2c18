"""The pane under the line being typed that says what its method or command does. The words are `synopsis`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.filters import Condition, is_done, renderer_height_is_known
from prompt_toolkit.layout.containers import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension

from rpcshell.prompt.context import LONGEST_LIVE

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.formatted_text.base import StyleAndTextTuples
    from prompt_toolkit.layout.layout import Layout

    from rpcshell.prompt.context import LineContext
    from rpcshell.prompt.synopsis import Row

_SHARE: Final = 3
"""The pane takes at most one part of the screen in so many."""

_FEWEST_ROWS: Final = 3
"""A title, what the method does, and one param: less is of no use."""

_OTHER_ROWS: Final = 2
"""The toolbar, and one to keep something of what was there before in sight."""


class DocumentationPane:
    """Makes the rows of the pane, which takes as many of the screen as there is something in."""

    def __init__(self, context: LineContext, buffer: Buffer, *, menu_rows: int) -> None:
        self._context = context
        self._buffer = buffer
        self._menu_rows = menu_rows
        self._asked: tuple[object, ...] = ()
        self._rows: list[Row] = []
        self.container: Final = ConditionalContainer(
            Window(
                FormattedTextControl(self._fragments),
                height=lambda: Dimension.exact(len(self._rows)),
                style="class:documentation",
            ),
            filter=Condition(self._has_rows) & ~is_done & renderer_height_is_known,
        )

    def _has_rows(self) -> bool:
        """Whether there is anything to show; this makes the rows, so it is asked before all else."""
        text = self._buffer.text
        if not text.strip() or not self._context.settings.doc or len(text) > LONGEST_LIVE:
            return False
        size = get_app().output.get_size()
        taken = max(self._menu_rows, self._buffer.document.line_count)
        room = min(size.rows - taken - _OTHER_ROWS, size.rows // _SHARE)
        if room < _FEWEST_ROWS:
            return False
        first = self._first_completion()
        asked = (text, self._buffer.cursor_position, room, size.columns, first, self._context.catalog)
        if asked != self._asked:
            from rpcshell.prompt.synopsis import line_synopsis

            cursor, columns = self._buffer.cursor_position, size.columns - 1
            self._asked, self._rows = asked, line_synopsis(self._context, text, cursor, first, room, columns)
        return bool(self._rows)

    def _first_completion(self) -> str:
        menu = self._buffer.complete_state
        return menu.completions[0].display_text if menu is not None and menu.completions else ""

    def _fragments(self) -> StyleAndTextTuples:
        pieces: StyleAndTextTuples = []
        for number, row in enumerate(self._rows):
            if number:
                pieces.append(("", "\n"))
            pieces += row
        return pieces


def add_documentation(layout: Layout, pane: DocumentationPane) -> None:
    """Put the pane into the layout of a prompt, between the line with its menu and the toolbar."""
    container = layout.container
    if isinstance(container, HSplit):
        container.children.insert(len(container.children) - 1, pane.container)
