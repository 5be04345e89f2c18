"""The modes of the terminal (termios(3)) while nobody reads keys, and putting them back."""

from __future__ import annotations

import sys
import termios
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["keys_kept", "modes_kept"]

_LOCAL: Final = 3
"""Where tcgetattr has the local modes."""


@contextmanager
def modes_kept() -> Iterator[None]:
    """Put the modes back at the end, whatever was done to them; nothing without a terminal."""
    try:
        modes = termios.tcgetattr(sys.stdin.fileno())
    except (OSError, ValueError, termios.error):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError, ValueError, termios.error):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, modes)


@contextmanager
def keys_kept() -> Iterator[None]:
    """Keep keys that are pressed between two prompts, unseen and as they are, for the next prompt.

    Keys that make signals, such as Ctrl-C, still do.
    """
    with modes_kept():
        with suppress(OSError, ValueError, termios.error):
            terminal = sys.stdin.fileno()
            modes = termios.tcgetattr(terminal)
            modes[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
        yield
