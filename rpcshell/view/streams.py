"""The process's own streams, as far as what is shown depends on them."""

from __future__ import annotations

from typing import IO

__all__ = ["is_terminal"]


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether one of the process's own streams is open, and a terminal."""
    # Python sets a stream to None where the process was started with it closed.
    return stream is not None and stream.isatty()
