"""What is so large that reading or writing it holds up an event loop: how that is known, and how it costs least.

msgspec keeps the interpreter's lock while it reads or writes, so the loop runs between such steps, and not beside them.
Collecting garbage would make these steps three times as long: it goes through all that was read, again and again. The
thread that takes them is of `on_loop`.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

LARGE: Final = 256 * 1024  # bytes of JSON, which take about a millisecond
HOLDERS: Final = frozenset({list, tuple, dict})
MANY: Final = 16 * 1024  # items in one of `HOLDERS`, which may well be large then


def uncollected(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, and collect garbage only after it, if the app has that done at all."""
    if not gc.isenabled():
        return function(*args, **kwargs)
    gc.disable()
    try:
        return function(*args, **kwargs)
    finally:
        gc.enable()
