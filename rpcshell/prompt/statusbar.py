"""The row at the bottom, put together: what the toolbar says, the keys that do something, and the mode of vi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.utils import get_cwidth

from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prompt_toolkit.application import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.formatted_text.base import StyleAndTextTuples

    from rpcshell.prompt.context import LineContext
    from rpcshell.prompt.tabstops import Tabstops
    from rpcshell.view.pretty import Fragment

__all__ = ["StatusBar"]

_GAP: Final = "  "
_BETWEEN: Final = " · "
_MODES: Final = {
    InputMode.INSERT: "insert",
    InputMode.INSERT_MULTIPLE: "insert",
    InputMode.NAVIGATION: "normal",
    InputMode.REPLACE: "replace",
    InputMode.REPLACE_SINGLE: "replace",
}


class StatusBar:
    """Makes the row.

    Args:
        context: Has the settings that keys change.
        buffer: the line being typed.
        toolbar: says something about a text and a cursor in it, given the columns there are.
        tabstops: the places of a template in the text.
        keys: the keys by the action they do.
    """

    def __init__(
        self,
        context: LineContext,
        buffer: Buffer,
        toolbar: Callable[[str, int, int], list[Fragment]],
        tabstops: Tabstops,
        keys: Mapping[str, str],
    ) -> None:
        self._buffer = buffer
        self._toolbar = toolbar
        self._tabstops = tabstops
        self._settings = context.settings
        self._keys = keys

    def __call__(self, application: Application[str]) -> StyleAndTextTuples:
        """The pieces of the row, which fit the screen."""
        columns = application.output.get_size().columns - 1
        mode = _mode(application)
        room = columns - get_cwidth(mode) - (len(_GAP) if mode else 0)
        row: StyleAndTextTuples = []
        for style, text in self._said(room):
            row.append((style, _cut(text, room)))
            room -= get_cwidth(text)
        room = max(room, 0)
        right = ""
        for text in self._texts():
            more = f"{right}{_BETWEEN}{text}" if right else text
            if get_cwidth(more) + len(_GAP) > room:
                break
            right = more
        if right:
            row.append(("", " " * (room - get_cwidth(right))))
            row.append(("class:bottom-toolbar.keys", right))
        elif mode:
            row.append(("", " " * room))
        if mode:
            row += [("", _GAP), ("class:bottom-toolbar.mode", mode)]
        return row

    def _said(self, room: int) -> list[Fragment]:
        place = self._tabstops.here()
        if place is not None:
            return [("", visible(place.about) + _BETWEEN + "Tab goes on")]
        document = self._buffer.document
        return self._toolbar(document.text, document.cursor_position, room)

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


def _cut(text: str, room: int) -> str:
    """As much of a text as there is room for."""
    if get_cwidth(text) <= room:
        return text
    width = 1
    for end, character in enumerate(text):
        width += get_cwidth(character)
        if width > room:
            return f"{text[:end]}…" if room > 0 else ""
    return text
