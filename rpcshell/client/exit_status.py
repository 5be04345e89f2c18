"""How a child process ended, in words: those that say it, and its own last ones."""

import os
import signal
from typing import IO, Final

_TAIL: Final = 4096


def how_it_ended(status: int) -> str:
    """Say what a status of `subprocess` means, which is negative for a signal; most real-time ones have no name."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"


def last_line(log: IO[bytes]) -> str:
    """The last line of a log that says something, or an empty text."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
    lines = log.read().decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
