"""Counts the work of a function: a measure that neither a slow nor a busy machine changes."""

import enum
import gc
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_COMPILES = {enum.__file__, *map(str, Path(re.__file__).parent.glob("*.py"))}
"""What compiles patterns at their first use, which is whichever test's that comes first."""


def steps(function: Callable[[], object]) -> int:
    """How many lines of Python run in a function and in all that it calls, but for what compiles patterns."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename in _COMPILES:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    with no_garbage_collected():
        sys.settrace(trace)
        try:
            function()
        finally:
            sys.settrace(before)
    return count


@contextmanager
def no_garbage_collected() -> Iterator[None]:
    """Run nothing but what is written there: what is collected may be another test's, and has code of its own to run.

    So has hypothesis, which is told of each collection.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
