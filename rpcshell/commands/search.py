"""What PATTERN means to the commands that take one."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["matcher"]


def matcher(pattern: str) -> Callable[[str], bool]:
    """Tells whether a text holds a pattern or, where that has a `*`, `?` or `[`, matches it as a file name does.

    Case makes no difference.
    """
    if any(character in pattern for character in "*?["):
        found = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
        return lambda text: found.match(text) is not None
    plain = pattern.lower()
    return lambda text: plain in text.lower()
