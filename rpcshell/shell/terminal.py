"""The terminal of the process's own streams: whether there is one, how wide it is, and whose Ctrl-C is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether one of the process's own streams is open, and a terminal."""
    # Python sets a stream to None where the process was started with it closed.
    return stream is not None and stream.isatty()


def columns_of_terminal(otherwise: int = 80) -> int:
    """Columns of the terminal, or else what the environment says, or so many."""
    # It brings what packs files.
    import shutil

    return shutil.get_terminal_size((otherwise, 24)).columns


@contextmanager
def interrupts_left_to_a_program() -> Iterator[None]:
    """Let Ctrl-C be that of a program which has the terminal meanwhile; it gets the signal too."""
    # A handler that does nothing, where SIG_IGN would be inherited by the program.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
