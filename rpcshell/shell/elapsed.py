"""Telling a person what is waited for, in place, where something takes its time."""

from __future__ import annotations

import _thread
import contextlib
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rpcshell.view.units import whole_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AT_FIRST: Final = 1.0
"""Seconds after which it is worth a line."""

_AGAIN: Final = 0.5


@contextmanager
def told_while(text: Callable[[], str], tell: Callable[[str], object]) -> Iterator[None]:
    """Tell the text from a thread, twice a second, once this lasts for more than a second; an empty one at its end.

    While the text is empty, what was told last stays.
    """
    over, telling = threading.Event(), threading.Lock()
    told = False

    def run() -> None:
        nonlocal told
        wait = _AT_FIRST
        while not over.wait(wait):
            wait = _AGAIN
            said = text()
            with telling:
                if said and not over.is_set():
                    told = True
                    tell(said)

    # `Thread.start` waits until the thread runs, which on a busy machine takes longer than most calls.
    with contextlib.suppress(RuntimeError):
        _thread.start_new_thread(run, ())
    try:
        yield
    finally:
        with telling:
            # What is said next must not be drawn over.
            over.set()
        if told:
            tell("")


def elapsed_text(what: str, keys: str = "Ctrl-C cancels") -> Callable[[], str]:
    """What tells of something that begins now: what it is, for how long by then, and which keys do what."""
    began = time.monotonic()
    return lambda: f"{what} for {whole_seconds(time.monotonic() - began)} · {keys}"
