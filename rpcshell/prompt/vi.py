"""What vi's keys need beside prompt_toolkit's own: a prompt Escape, and a cursor whose shape tells the mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit.cursor_shapes import CursorShape, DynamicCursorShapeConfig, ModalCursorShapeConfig
from prompt_toolkit.cursor_shapes import SimpleCursorShapeConfig as OneShape
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.vi_state import InputMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.application import Application
    from prompt_toolkit.cursor_shapes import CursorShapeConfig

__all__ = ["cursor_shapes", "prompt_escape"]

_ESCAPE: Final = 0.05
"""Seconds after which an Escape was the key of that name and not the beginning of another."""

_SEQUENCE: Final = 1.0
"""Seconds that a sequence of keys may rest."""


def cursor_shapes(in_vi: Callable[[], bool]) -> CursorShapeConfig:
    """Shapes of the cursor: those of the modes in vi, else the terminal's own.

    Args:
        in_vi: says whether the keys are vi's.
    """
    of_modes, own = ModalCursorShapeConfig(), OneShape(CursorShape._NEVER_CHANGE)
    return DynamicCursorShapeConfig(lambda: of_modes if in_vi() else own)


def prompt_escape(application: Application[Any]) -> None:
    """Have Escape leave vi's insert mode at once, though a key with Alt begins with one too, all at once."""

    def before_key(_sender: object) -> None:
        inserting = application.editing_mode == EditingMode.VI and application.vi_state.input_mode == InputMode.INSERT
        application.timeoutlen = _ESCAPE if inserting else _SEQUENCE

    application.ttimeoutlen = _ESCAPE
    application.key_processor.before_key_press += before_key
