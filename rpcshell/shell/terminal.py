"""The terminal of the process's own streams: whether there is one, and how wide it is."""

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
