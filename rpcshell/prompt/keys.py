"""What keys do while a line is typed, where that is not prompt_toolkit's own.

For vi's that is a prompt Escape, and a cursor whose shape tells the mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.cursor_shapes import CursorShape, DynamicCursorShapeConfig, ModalCursorShapeConfig
from prompt_toolkit.cursor_shapes import SimpleCursorShapeConfig as OneShape
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import Condition, emacs_insert_mode, emacs_mode, has_focus, vi_insert_mode
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.keys import Keys

from rpcshell.prompt.lexer import open_brackets

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.application import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.cursor_shapes import CursorShapeConfig
    from prompt_toolkit.input import Input
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    from rpcshell.line.language import Line
    from rpcshell.prompt.context import LineContext
    from rpcshell.prompt.tabstops import Tabstops
    from rpcshell.prompt.templates import Template

_INDENT: Final = "  "

_ESCAPE: Final = 0.05
"""Seconds after which an Escape was the key of that name and not the beginning of another."""

_SEQUENCE: Final = 1.0
"""Seconds that a sequence of keys may rest."""


def key_bindings(context: LineContext, tabstops: Tabstops, template: Callable[[str], Template | None]) -> KeyBindings:
    """The bindings of the line being typed; `template` gives what to fill in behind a text that is a method's name."""
    keys, read = KeyBindings(), context.read
    focused = has_focus(DEFAULT_BUFFER)
    # What types a character types none in vi's navigation.
    typing = focused & (emacs_insert_mode | vi_insert_mode)
    filling = typing & Condition(lambda: tabstops.active)
    fresh = filling & Condition(tabstops.is_fresh)

    @keys.add("enter", filter=focused)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        menu = buffer.complete_state
        if menu is not None and menu.current_completion is not None:
            # The text of a chosen completion is in the line already.
            buffer.complete_state = None
        elif tabstops.go_to_empty():
            return
        elif places := _missing_secrets(context, buffer.text):
            tabstops.ask(places)
        elif read(buffer.text).complete:
            buffer.validate_and_handle()
        else:
            _new_row(buffer, read)

    # Not in vi's navigation, where Escape alone must not wait for what may follow.
    @keys.add("escape", "enter", filter=focused & (emacs_mode | vi_insert_mode))
    def _(event: KeyPressEvent) -> None:
        _new_row(event.current_buffer, read)

    @keys.add("tab", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        menu = buffer.complete_state
        chosen = menu is not None and menu.current_completion is not None
        if tabstops.active and not chosen and (tabstops.choose() or not tabstops.is_undecided()):
            tabstops.move(1)
        elif not chosen and (found := _to_fill_in(buffer, template)) is not None:
            tabstops.begin(found, lead="" if buffer.text[-1:].isspace() else " ")
        elif menu is not None and len(menu.completions) > 1:
            buffer.complete_next()
        else:
            complete(buffer)

    @keys.add("s-tab", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        menu = buffer.complete_state
        if tabstops.active and (menu is None or menu.current_completion is None):
            tabstops.move(-1)
        elif menu is not None:
            buffer.complete_previous()

    @keys.add("}", filter=typing)
    @keys.add("]", filter=typing)
    @keys.add(">", filter=typing)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        before = buffer.document.current_line_before_cursor
        if before and not before.strip() and buffer.document.cursor_position_row > 0:
            buffer.delete_before_cursor(min(len(before), len(_INDENT)))
        buffer.insert_text(event.data)

    @keys.add('"', filter=filling)
    def _(event: KeyPressEvent) -> None:
        if not tabstops.take_quote():
            event.current_buffer.insert_text(event.data)

    @keys.add("$", filter=filling)
    def _(event: KeyPressEvent) -> None:
        if tabstops.is_fresh():
            tabstops.clear()
        tabstops.drop_quotes()
        event.current_buffer.insert_text(event.data)

    @keys.add("<any>", filter=fresh)
    def _(event: KeyPressEvent) -> None:
        if event.data.isprintable():
            tabstops.clear()
            event.current_buffer.insert_text(event.data)

    @keys.add("backspace", filter=fresh)
    def _(_event: KeyPressEvent) -> None:
        tabstops.clear()

    return keys


def _to_fill_in(buffer: Buffer, template: Callable[[str], Template | None]) -> Template | None:
    """What to put in behind a method's name; nothing where that could become a longer one."""
    if not buffer.document.is_cursor_at_the_end:
        return None
    found = template(buffer.text)
    if found is None or buffer.text[-1:].isspace():
        return found
    longer = list(buffer.completer.get_completions(buffer.document, CompleteEvent(completion_requested=True)))
    return found if len(longer) <= 1 else None


def complete(buffer: Buffer) -> None:
    """Put in the only completion, or what all of them have in common, and else open the menu.

    The menu alone would not do: it ignores a key that comes while it is still being filled for the one before.
    """
    document = buffer.document
    found = list(buffer.completer.get_completions(document, CompleteEvent(completion_requested=True)))
    if not found and (menu := buffer.complete_state) is not None:
        # The server that told it may be busy with another question just now.
        found = menu.completions
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


def cursor_shapes(in_vi: Callable[[], bool]) -> CursorShapeConfig:
    """Shapes of the cursor: those of the modes in vi, else the terminal's own."""
    of_modes, own = ModalCursorShapeConfig(), OneShape(CursorShape._NEVER_CHANGE)
    return DynamicCursorShapeConfig(lambda: of_modes if in_vi() else own)


def prompt_escape(application: Application[Any]) -> None:
    """Have Escape leave vi's insert mode at once, though a key with Alt begins with one too, all at once."""

    def before_key(_sender: object) -> None:
        inserting = application.editing_mode == EditingMode.VI and application.vi_state.input_mode == InputMode.INSERT
        application.timeoutlen = _ESCAPE if inserting else _SEQUENCE

    application.ttimeoutlen = _ESCAPE
    application.key_processor.before_key_press += before_key


def _missing_secrets(context: LineContext, text: str) -> list[int]:
    """Where a line that was kept in the history lacks its secrets."""
    from rpcshell.line.masking import masked_places

    return masked_places(text, context.known())


def take_interrupt(source: Input) -> bool:
    """Take away Ctrl-C and all that was typed before it, as a terminal does that makes a signal of it (termios(3)).

    The keys are those right after the Enter that ended a line, while the terminal still made no signals of any. False,
    with all of them kept for the next line, if it was not pressed.
    """
    presses = [*get_typeahead(source), *source.read_keys()]
    end = max((place for place, press in enumerate(presses, 1) if press.key == Keys.ControlC), default=0)
    store_typeahead(source, presses[end:])
    return end > 0
