"""Completion of local paths: lists one directory, the only thing in completion that touches the system."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from rpcshell.line.suggest.suggestion import Suggestion
from rpcshell.line.suggest.words import as_typed, as_word

MAX_PATHS = 200
_SCANNED = 10_000


class PathChoice(NamedTuple):
    """A path as it would be typed, the last part of it, and what it is."""

    text: str
    name: str
    meta: str


def list_paths(typed: str) -> Iterator[PathChoice]:
    """Entries of the directory that `typed` leads into, whose names begin with its last part; sorted, folders with `/`.

    Hidden entries are shown once a dot was typed. A directory that cannot be read has no entries. Of a huge one only
    the first entries are looked at, so that a key press stays quick.
    """
    folder, prefix = os.path.split(typed)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:  # noqa: PTH111  (keeps what is no user's home)
            found = [
                (entry.name, _is_folder(entry))
                for entry in islice(entries, _SCANNED)
                if entry.name.startswith(prefix) and (prefix or not entry.name.startswith("."))
            ]
    except (OSError, ValueError):
        return
    lead = typed[: len(typed) - len(prefix)]
    for name, is_folder in sorted(found)[:MAX_PATHS]:
        if not name.isprintable():
            continue
        shown = f"{name}/" if is_folder else name
        yield PathChoice(f"{lead}{shown}", shown, "folder" if is_folder else "file")


def suggest_paths(
    raw: str, start: int, end: int, listing: Callable[[str], Iterable[PathChoice]] = list_paths
) -> Iterator[Suggestion]:
    """Paths that begin with a word as it was typed, quotes included, to replace `start` to `end`."""
    for path in listing(as_typed(raw)):
        yield Suggestion(as_word(path.text), start, end, path.name, path.meta, "path")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
