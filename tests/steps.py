"""Counts the work of a function: a measure that neither a slow nor a busy machine changes."""

import enum
import gc
import re
import sys
from collections.abc import Callable
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

    # What is collected meanwhile may be another test's, and has lines of its own to run at its end.
    collects = gc.isenabled()
    gc.disable()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return count
