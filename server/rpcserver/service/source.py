"""Where a callable comes from: its name and its place in the source, for messages."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


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
