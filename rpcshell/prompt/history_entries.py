"""What stands in the file of the history: one JSON string a line. A line that cannot be read is skipped."""

import json
from collections.abc import Iterable
from itertools import groupby


def history_line(entry: str) -> bytes:
    """An entry as a line."""
    return json.dumps(entry).encode() + b"\n"


def read_entries(lines: Iterable[bytes]) -> list[str]:
    """The entries of lines, without those that repeat the one before."""
    entries = (entry for line in lines if (entry := _decode(line)) is not None)
    return [entry for entry, _ in groupby(entries)]


def _decode(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, str) and entry.strip() else None
