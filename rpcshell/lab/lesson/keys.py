"""Keys that lead through a lesson, and waiting for one."""

from __future__ import annotations

import os
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["key_reader", "next_step"]

_ON: Final = {b"\n", b"\r", b" ", b"n", b"\x1b[C", b"\x1b[B", b"\x1bOC", b"\x1bOB"}
_BACK: Final = {b"b", b"p", b"\x7f", b"\x08", b"\x1b[D", b"\x1b[A", b"\x1bOD", b"\x1bOA"}
_LEAVE: Final = {b"q", b"Q", b"\x04", b"\x03", b""}

_TENTH: Final = 10
"""What 0 stands for, so that one key is enough for each step."""

_LONGEST_KEY: Final = 16
"""Bytes that a terminal sends for one."""


def next_step(key: bytes, step: int, count: int) -> int | None:
    """Where a key leads to.

    Args:
        key: What the terminal sends for it.
        step: The step that was shown, from 1.
        count: How many there are.

    Returns:
        The number of a step; 0 is out, and the number after the last is the end. None: the key has no meaning.
    """
    if key in _LEAVE:
        return 0
    if key in _ON:
        return step + 1
    if key in _BACK:
        return max(step - 1, 1)
    if len(key) == 1 and key.isdigit():
        wanted = int(key) or _TENTH
        return wanted if wanted <= count else None
    return None


@contextmanager
def key_reader() -> Iterator[Callable[[], bytes]]:
    """Read single keys from the terminal; those that were pressed before are no answers to what is asked now."""
    terminal = sys.stdin.fileno()
    modes = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSAFLUSH)
        yield lambda: os.read(terminal, _LONGEST_KEY)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
