"""The row at the bottom: how the method being typed is called, or what is wrong first and where; then keys and modes.

What is said of a line is `remarks`' business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.vi_state import InputMode

from rpcshell.prompt.context import LONGEST_LIVE
from rpcshell.view.escape import visible
from rpcshell.view.width import ELLIPSIS, cells, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prompt_toolkit.application import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.formatted_text.base import StyleAndTextTuples

    from rpcshell.prompt.context import LineContext
    from rpcshell.prompt.remarks import Remark
    from rpcshell.prompt.tabstops import Tabstops
    from rpcshell.view.pretty import Fragment

_IDLE: Final = "Tab completes · Ctrl-R searches · Ctrl-D leaves · :help"
_MOST_OPEN: Final = 8
_AFTER_FOCUS: Final = 12
"""Columns that what follows the parameter in focus gets where there is not room for all."""

_GAP: Final = "  "
_BETWEEN: Final = " · "
_MODES: Final = {
    InputMode.INSERT: "insert",
    InputMode.INSERT_MULTIPLE: "insert",
    InputMode.NAVIGATION: "normal",
    InputMode.REPLACE: "replace",
    InputMode.REPLACE_SINGLE: "replace",
}


class Toolbar:
    """Makes the toolbar's text. It is asked at every drawing, so it remembers its last answer."""

    def __init__(self, context: LineContext) -> None:
        self._context = context
        self._asked: tuple[object, ...] = ()
        self._last: object = None
        self._answer: Remark | None = None

    def __call__(self, text: str, cursor: int, room: int | None = None) -> list[Fragment]:
        """What to say about a text, with a signature's part at the cursor in the columns that there is `room` for."""
        if not text.strip():
            return [("", self._idle())]
        fragments = self._about(text, cursor).fragments
        return fragments if room is None else _in_room(fragments, room)

    def problems(self, text: str, cursor: int) -> Sequence[tuple[int, int]]:
        """Where a text is wrong: the start and end of each stretch, in characters from 0."""
        return self._about(text, cursor).spans if text.strip() else ()

    def _about(self, text: str, cursor: int) -> Remark:
        asked, last = (text, cursor, self._context.catalog), self._context.variables.get("_")
        if self._answer is None or asked != self._asked or last is not self._last:
            from rpcshell.prompt.remarks import remark

            self._asked, self._last, self._answer = asked, last, remark(self._context, text, cursor)
        return self._answer

    def _idle(self) -> str:
        session = self._context.session
        if session.discovering:
            return f"asking {session.target} what it offers…"
        if session.target is None:
            return ":spawn 10 starts a server, :connect HOST:PORT joins one · :help"
        if session.state == "lost":
            return f"no connection to {session.target}; the next call tries again"
        if not session.target.dialect:
            return _IDLE
        from rpcshell.shell.discovery import introduction

        about = _BETWEEN.join(introduction(session.target.dialect, session.catalog))
        return f"{visible(about)} · Tab completes · :help"


def _in_room(fragments: list[Fragment], room: int) -> list[Fragment]:
    """A signature with the beginning left out as far as what is in focus would not be seen otherwise."""
    if len(fragments) == 1 or sum(cells(text) for _, text in fragments) <= room:
        return fragments
    (style, before), focus, after = fragments
    left = max(room - cells(focus[1]) - min(cells(after[1]), _AFTER_FOCUS), 1)
    if cells(before) <= left:
        return fragments
    while before and cells(before) >= left:
        before = before[1:]
    return [(style, ELLIPSIS + before), focus, after]


class StatusBar:
    """Makes the row. `toolbar` says something about a text and a cursor in it, given the columns there are."""

    def __init__(
        self,
        context: LineContext,
        buffer: Buffer,
        toolbar: Callable[[str, int, int], list[Fragment]],
        tabstops: Tabstops,
        keys: Mapping[str, str],
    ) -> None:
        self._context = context
        self._buffer = buffer
        self._toolbar = toolbar
        self._tabstops = tabstops
        self._settings = context.settings
        self._keys = keys

    def __call__(self, application: Application[str]) -> StyleAndTextTuples:
        """The pieces of the row, which fit the screen."""
        columns = application.output.get_size().columns - 1
        mode = _GAP.join(filter(None, (self._lacking(), _mode(application))))
        room = columns - cells(mode) - (len(_GAP) if mode else 0)
        row: StyleAndTextTuples = []
        for style, text in self._said(room):
            row.append((style, cut(text, room) if room > 0 else ""))
            room -= cells(text)
        room = max(room, 0)
        right = ""
        for text in self._texts():
            more = f"{right}{_BETWEEN}{text}" if right else text
            if cells(more) + len(_GAP) > room:
                break
            right = more
        if right:
            row.append(("", " " * (room - cells(right))))
            row.append(("class:bottom-toolbar.keys", right))
        elif mode:
            row.append(("", " " * room))
        if mode:
            row += [("", _GAP), ("class:bottom-toolbar.mode", mode)]
        return row

    def _said(self, room: int) -> list[Fragment]:
        field = self._tabstops.here()
        if field is not None:
            return [("", visible(field.about) + _BETWEEN + "Tab goes on")]
        document = self._buffer.document
        return self._toolbar(document.text, document.cursor_position, room)

    def _lacking(self) -> str:
        """What closes the brackets that are open, in the order in which it is typed."""
        text = self._buffer.text
        if not text.strip() or len(text) > LONGEST_LIVE:
            return ""
        closing = "".join(reversed(self._context.read(text).open))
        return f"needs {cut(closing, _MOST_OPEN)}" if closing else ""

    def _texts(self) -> Iterator[str]:
        """What each key does, or what it has set, the most useful first."""
        settings = self._settings
        states = {
            "help": "help",
            "doc": f"doc {settings.text('doc')}",
            "format": "json" if settings.format == "auto" else settings.format,
            "editing": settings.editing,
        }
        for action, state in states.items():
            if action in self._keys:
                yield f"{self._keys[action]} {state}"


def _mode(application: Application[str]) -> str:
    if application.editing_mode != EditingMode.VI:
        return ""
    if application.current_buffer.selection_state is not None:
        return "vi visual"
    return f"vi {_MODES[application.vi_state.input_mode]}"
