"""Telling whoever waits for a connection that it takes its time, and how one ended that nobody used."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ShellError
from rpcshell.client.target import ChildTarget
from rpcshell.client.threads import thread_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.client.target import Target
    from rpcshell.shell.unasked import LoggedLine

__all__ = ["AT_FIRST", "how_it_ended", "told_while", "waiting_for"]

AT_FIRST: Final = 1.0
"""Seconds after which it is worth a line."""

_AGAIN: Final = 0.5


def waiting_for(name: str, strays: Callable[[], Sequence[LoggedLine]]) -> Callable[[], str]:
    """What there is to tell of a target by now, from this moment on; a child's own last line goes with it."""
    began = time.monotonic()

    def text() -> str:
        said = strays()
        last = f" · {said[-1].text}" if said else ""
        return f"connecting to {name} for {time.monotonic() - began:.0f} s, Ctrl-C cancels{last}"

    return text


@contextmanager
def told_while(text: Callable[[], str], tell: Callable[[str], object]) -> Iterator[None]:
    """Tell, from a thread, what the text is by now for as long as this lasts, if it lasts; then nothing any more."""
    over = threading.Event()

    def run() -> None:
        if over.wait(AT_FIRST):
            return
        while not over.is_set():
            tell(text())
            over.wait(_AGAIN)
        tell("")

    thread = thread_for(run, "connecting")
    try:
        yield
    finally:
        over.set()
        if thread is not None:
            # What is said next must not be drawn over.
            thread.join()


def how_it_ended(name: str, target: Target, failure: Exception) -> str:
    """What ended the connection to a target, and what the next call does about it."""
    # A `ShellError` names the target by itself.
    what = failure.message if isinstance(failure, ShellError) else f"{name}: {failure}"
    hint = getattr(failure, "hint", None)
    anew = "starts it anew" if isinstance(target, ChildTarget) else "makes a new connection"
    return f"{what}{f'; {hint}' if hint else ''}; the next call {anew}"
