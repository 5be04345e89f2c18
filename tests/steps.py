"""Counts the work of a function: a measure that neither a slow nor a busy machine changes."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(function: Callable[[], object]) -> int:
    """How many lines of Python run in a function and in all that it calls."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
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
