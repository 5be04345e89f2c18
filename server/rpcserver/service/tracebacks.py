"""Tracebacks that show a user's own code, without the frames of this package and of the import machinery."""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = Path(__file__).parents[1]
_SHOWN = _PACKAGE / "testing" / "demo"
"""The demo is written as a user's service would be, so its frames are shown."""

_MACHINERY = (
    "<frozen importlib",
    "<frozen runpy>",
    str(Path(importlib.__file__).parent),
)


def own_traceback(error: BaseException) -> str:
    """Format an exception, with its causes, as Python does, but only with frames outside this package."""
    shown = traceback.TracebackException.from_exception(error, compact=True)
    _trim(shown)
    return "".join(shown.format())


def one_line(error: BaseException) -> str:
    """An exception's class and text, as Python ends a traceback."""
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception as failure:  # noqa: BLE001 - a user's exception may fail to describe itself
        text = f"(its text cannot be made: {type(failure).__name__})"
    return f"{kind}: {text}" if text else kind


def printable(text: str) -> str:
    """A text that UTF-8 can carry: lone surrogates become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def has_own_frames(trace: TracebackType | None) -> bool:
    """Whether any frame of a traceback lies outside this package and the import machinery."""
    return any(_is_own(frame.filename) for frame in traceback.extract_tb(trace))


def _trim(shown: traceback.TracebackException) -> None:
    # Not recursive: a chain of causes may be longer than Python's stack.
    remaining = [shown]
    while remaining:
        one = remaining.pop()
        one.stack = traceback.StackSummary.from_list(frame for frame in one.stack if _is_own(frame.filename))
        linked = (one.__cause__, one.__context__, *(one.exceptions or ()))
        remaining += [inner for inner in linked if inner is not None]


def _is_own(filename: str) -> bool:
    if filename.startswith(_MACHINERY):
        return False
    path = Path(filename)
    return not path.is_relative_to(_PACKAGE) or path.is_relative_to(_SHOWN)
