"""Where a user's code is: names and places of callables, tracebacks without the frames of this package."""

from __future__ import annotations

import functools
import importlib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rpcwire
from rpcserver.system.errors import QuickStop

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_PACKAGE = Path(__file__).parents[1]
_WIRE = Path(rpcwire.__file__).parent
_SHOWN = _PACKAGE / "testing" / "demo"
"""The demo is written as a user's service would be, so its frames are shown."""

# What is asked of a user's exception itself may be answered by its own code.
_name_of = type.__dict__["__name__"].__get__
_trace_of = BaseException.__dict__["__traceback__"].__get__

_MACHINERY = ("<frozen importlib", "<frozen runpy>", str(Path(importlib.__file__).parent))


def unwrapped(handler: Callable[..., Any]) -> Any:
    """What a handler is underneath partials, bound methods and `functools.wraps`."""
    inner: Any = handler
    # A handler that wraps itself would never end; twenty layers are more than anybody writes.
    for _ in range(20):
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        elif hasattr(inner, "__func__"):
            inner = inner.__func__
        else:
            break
    return inner


def handler_name(handler: Callable[..., Any]) -> str:
    """A handler's own name; an object's is that of its class."""
    inner = unwrapped(handler)
    name = getattr(inner, "__name__", None)
    return name if isinstance(name, str) else type(inner).__name__


def handler_place(handler: Callable[..., Any]) -> str | None:
    """`file:line` of a handler, or None where there is no source."""
    inner = unwrapped(handler)
    code = getattr(inner, "__code__", None) or getattr(getattr(inner, "__call__", None), "__code__", None)  # noqa: B004 - its code is wanted, not whether it can be called
    return None if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def own_traceback(error: BaseException) -> str:
    """Format an exception, with its causes, as Python does, but only with frames outside this package.

    One that cannot be looked at is shown by its class alone.
    """
    try:
        shown = traceback.TracebackException.from_exception(error, compact=True)
        _trim(shown)
        return "".join(shown.format())
    except QuickStop:
        raise
    except BaseException as failure:  # noqa: BLE001 - as in `one_line`
        frames = [frame for frame in raised_in(error) if _is_own(frame.filename)]
        said = f"{class_name(error)}: (it cannot be looked at: {class_name(failure)})\n"
        return "".join(("Traceback (most recent call last):\n", *traceback.format_list(frames), said))


def raised_in(error: BaseException) -> traceback.StackSummary:
    """Where an exception was raised, whatever its own code says."""
    return traceback.extract_tb(_trace_of(error))


def class_name(error: BaseException) -> str:
    """The name of an exception's class, whatever a metaclass of the user's says that it is."""
    name: str = _name_of(type(error))
    return name


def one_line(error: BaseException) -> str:
    """An exception's class and text, as Python ends a traceback."""
    kind = class_name(error)
    try:
        text = str(error)
    except QuickStop:
        raise
    except BaseException as failure:  # noqa: BLE001 - a user's exception may fail to describe itself
        text = f"(its text cannot be made: {class_name(failure)})"
    return f"{kind}: {text}" if text else kind


def has_own_frames(trace: TracebackType | None) -> bool:
    """Whether any frame of a traceback lies outside this package and the import machinery."""
    return any(_is_own(frame.filename) for frame in traceback.extract_tb(trace))


def _trim(shown: traceback.TracebackException) -> None:
    # Not recursive: a chain of causes may be longer than Python's stack.
    remaining = [shown]
    while remaining:
        one = remaining.pop()
        before = one.__context__
        if before is not None and before.stack and not any(_is_own(frame.filename) for frame in before.stack):
            # It was raised in this package on the way to the user's code, and explains nothing there.
            one.__context__ = None
        one.stack = traceback.StackSummary.from_list(frame for frame in one.stack if _is_own(frame.filename))
        linked = (one.__cause__, one.__context__, *(one.exceptions or ()))
        remaining += [inner for inner in linked if inner is not None]


@functools.cache
def _is_own(filename: str) -> bool:
    if filename.startswith(_MACHINERY):
        return False
    path = Path(filename)
    return path.is_relative_to(_SHOWN) or not (path.is_relative_to(_PACKAGE) or path.is_relative_to(_WIRE))
