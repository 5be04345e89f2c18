"""What is so large that reading or writing it holds up an event loop: how that is known, and the thread that does it.

msgspec keeps the interpreter's lock while it reads or writes, so the loop runs between such steps, and not beside them.
Collecting garbage would make these steps three times as long: it goes through all that was read, again and again.
"""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

P = ParamSpec("P")
T = TypeVar("T")

LARGE: Final = 256 * 1024
"""Bytes of JSON, which take about a millisecond."""

MANY: Final = 16 * 1024
"""Items in one of `HOLDERS`, which may well be large then."""

HOLDERS: Final = frozenset({list, tuple, dict})


class LargeValues:
    """The thread, which starts when it is first needed; what it does is over soon, so that one is enough."""

    __slots__ = ("_executor",)

    def __init__(self) -> None:
        self._executor: Executor | None = None

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function there, and raise here what it raises."""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "rpcserver-large")
        loop = asyncio.get_running_loop()
        try:
            there = loop.run_in_executor(self._executor, _uncollected, partial(function, *args, **kwargs))
        except RuntimeError:
            # There is no thread left: it is done here, and others wait.
            self._executor = None
            return function(*args, **kwargs)
        try:
            return await there
        finally:
            # An exception's traceback would keep this frame, and this frame the exception.
            del there


def _uncollected(function: Callable[[], T]) -> T:
    """Call a function, and collect garbage only after it, if the app has that done at all."""
    if not gc.isenabled():
        return function()
    gc.disable()
    try:
        return function()
    finally:
        gc.enable()
