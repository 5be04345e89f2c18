"""What keys do at the prompt, where that is not prompt_toolkit's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings

from rpcshell.prompt.lexer import open_brackets

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    from rpcshell.language import Line

__all__ = ["key_bindings"]

_INDENT: Final = "  "


def key_bindings(read: Callable[[str], Line]) -> KeyBindings:
    """The bindings of the line being typed.

    Args:
        read: parses a text.
    """
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)

    @keys.add("enter", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        menu = buffer.complete_state
        if menu is not None and menu.current_completion is not None:
            # The text of a chosen completion is in the line already.
            buffer.complete_state = None
        elif read(buffer.text).complete:
            buffer.validate_and_handle()
        else:
            _new_row(buffer, read)

    @keys.add("escape", "enter", filter=typing)
    def _(event: KeyPressEvent) -> None:
        _new_row(event.current_buffer, read)

    @keys.add("tab", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        menu = buffer.complete_state
        if menu is not None and len(menu.completions) > 1:
            buffer.complete_next()
        else:
            _complete(buffer)

    @keys.add("}", filter=typing)
    @keys.add("]", filter=typing)
    @keys.add(">", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        before = buffer.document.current_line_before_cursor
        if before and not before.strip() and buffer.document.cursor_position_row > 0:
            buffer.delete_before_cursor(min(len(before), len(_INDENT)))
        buffer.insert_text(event.data)

    return keys


def _complete(buffer: Buffer) -> None:
    """Put in the only completion, or what all of them have in common, and else open the menu.

    The menu alone would not do: it ignores a key that comes while it is still being filled for the one before.
    """
    document = buffer.document
    found = list(buffer.completer.get_completions(document, CompleteEvent(completion_requested=True)))
    if len(found) == 1:
        buffer.apply_completion(found[0])
        return
    if common := get_common_complete_suffix(document, found):
        buffer.insert_text(common)
    buffer.start_completion()


def _new_row(buffer: Buffer, read: Callable[[str], Line]) -> None:
    """Open a row, indented by the brackets that are open before the cursor."""
    depth = open_brackets(read(buffer.document.text_before_cursor))
    buffer.insert_text("\n" + _INDENT * depth)
