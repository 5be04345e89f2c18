"""A suggestion, and completion of what has a name and no place in a call: methods, aliases and local paths.

Listing a folder is the only thing in completion that touches the system.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple, TypeVar

import msgspec

from rpcshell.line.catalog import Catalog
from rpcshell.line.language import method_text
from rpcshell.line.method_index import MENU
from rpcwire.socket_names import written_name

_T = TypeVar("_T")

SuggestionKind = Literal["method", "key", "value", "command", "option", "argument", "path", "variable", "alias"]
_MAX_PATHS = 200
_SCANNED = 10_000
_NEEDS_QUOTES = re.compile(r"""[\s"'\\#|>$]""")


class Suggestion(msgspec.Struct, frozen=True, gc=False):
    """A possible completion: a text that replaces the characters from `start` up to, not including, `end`.

    Display and meta may be a server's: escape them before a terminal gets them.
    """

    text: str
    start: int
    end: int
    display: str
    meta: str
    kind: SuggestionKind


def matching(choices: Iterable[_T], typed: str, text: Callable[[_T], str] = str) -> list[_T]:
    """Choices whose text begins with what was typed, then those that hold it; case does not matter."""
    query = typed.lower()
    holding = [choice for choice in choices if query in text(choice).lower()]
    return sorted(holding, key=lambda choice: not text(choice).lower().startswith(query))


def suggest_methods(typed: str, start: int, end: int, catalog: Catalog) -> Iterator[Suggestion]:
    """Methods for what was typed so far, to replace `start` to `end`; deprecated ones last."""
    yield from named(catalog.index.search(typed, MENU), start, end, catalog)


def named(names: Iterable[str], start: int, end: int, catalog: Catalog) -> Iterator[Suggestion]:
    """The methods of these names, to replace `start` to `end`; deprecated ones last."""
    methods = [catalog.methods[name] for name in names]
    for method in sorted(methods, key=lambda method: method.deprecated):
        text = method_text(method.name)
        meta = f"deprecated · {method.summary}".rstrip(" ·") if method.deprecated else method.summary
        yield Suggestion(text, start, end, text, meta, "method")


def suggest_aliases(typed: str, start: int, end: int, aliases: Mapping[str, str]) -> Iterator[Suggestion]:
    """Aliases that begin with what was typed; with what they stand for."""
    for name in sorted(aliases):
        if name.lower().startswith(typed.lower()):
            yield Suggestion(name, start, end, name, f"= {aliases[name]}", "alias")


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
    for name, is_folder in sorted(found)[:_MAX_PATHS]:
        if not written_name(name).isprintable():
            continue
        shown = f"{name}/" if is_folder else name
        yield PathChoice(f"{lead}{shown}", shown, "folder" if is_folder else "file")


def suggest_paths(
    raw: str, start: int, end: int, listing: Callable[[str], Iterable[PathChoice]]
) -> Iterator[Suggestion]:
    """Paths that begin with a word as it was typed, quotes included, to replace `start` to `end`."""
    for path in listing(as_typed(raw)):
        if not path.text.isprintable():
            # Nothing that can be typed here means a byte that is no UTF-8.
            continue
        yield Suggestion(as_word(path.text), start, end, path.name, path.meta, "path")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def as_typed(raw: str) -> str:
    """What the user means by the part of a word left of the cursor: the text without its quotes."""
    if raw.startswith("'") and raw.count("'") == 1:
        return raw[1:]
    return raw.replace("\\", "").replace('"', "").replace("'", "") if _NEEDS_QUOTES.search(raw) else raw


def as_word(text: str) -> str:
    """A text as a word."""
    if not _NEEDS_QUOTES.search(text):
        return text
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
