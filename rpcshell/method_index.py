"""Finding methods by what a user typed: by prefix, by a dotted segment, by letters in order; and near misses.

Built once for a catalog, so that a key press costs a search and not a sort.
"""

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile

_SEGMENT_START = r"(?<=[._\-/:])"
_NEAR = 3
_LENGTH_SLACK = 3
_MAX_CANDIDATES = 500


class MethodIndex:
    """An immutable index of method names; all searches ignore case and come in the same order every time."""

    __slots__ = ("_lower", "_names", "_offsets", "_text")

    def __init__(self, names: Iterable[str]) -> None:
        pairs = sorted((name.lower(), name) for name in names)
        self._lower = [lower for lower, _ in pairs]
        self._names = [name for _, name in pairs]
        # One text for one regular expression: a hundred times faster than a loop over the names in Python.
        self._text = "".join(f"\n{lower}" for lower in self._lower)
        self._offsets: list[int] = []
        offset = 0
        for lower in self._lower:
            self._offsets.append(offset)
            offset += len(lower) + 1

    def __len__(self) -> int:
        return len(self._names)

    def search(self, typed: str, limit: int) -> list[str]:
        """At most `limit` names: those that begin with what was typed, then those with a segment that does, then
        those that hold it, then those that hold its letters in order.
        """
        query = typed.lower()
        found = dict.fromkeys(islice(self._prefixed(query), limit))
        if query and "\n" not in query:
            for pattern in _patterns(query):
                if len(found) >= limit:
                    break
                found |= dict.fromkeys(self._matching(pattern))
        return list(islice(found, limit))

    def near(self, typed: str) -> list[str]:
        """At most three names that look like what was typed: for "did you mean"."""
        query = typed.lower()
        if not query:
            return []
        close = difflib.get_close_matches(query, self._candidates(query), _NEAR)
        found = dict.fromkeys(self._names[bisect_left(self._lower, lower)] for lower in close)
        for name in self.search(typed, _NEAR):
            found.setdefault(name)
        return list(islice(found, _NEAR))

    def _candidates(self, query: str) -> list[str]:
        """Names that are worth a close look, which is slow: a slip in one half leaves the other half as it is."""
        half = len(query) // 2
        head, tail = query[:half], query[half:]
        first = bisect_left(self._lower, head)
        same_head = takewhile(lambda lower: lower.startswith(head), islice(self._lower, first, None))
        same_tail = (lower for lower in self._lower if lower.endswith(tail))
        alike = [
            lower for lower in dict.fromkeys([*same_head, *same_tail]) if abs(len(lower) - len(query)) <= _LENGTH_SLACK
        ]
        return alike[:_MAX_CANDIDATES]

    def _prefixed(self, query: str) -> Iterator[str]:
        for at in range(bisect_left(self._lower, query), len(self._lower)):
            if not self._lower[at].startswith(query):
                return
            yield self._names[at]

    def _matching(self, pattern: re.Pattern[str]) -> Iterator[str]:
        for match in pattern.finditer(self._text):
            at = bisect_left(self._offsets, match.end()) - 1
            yield self._names[at]


def _patterns(query: str) -> Iterator[re.Pattern[str]]:
    yield re.compile(_SEGMENT_START + re.escape(query))
    yield re.compile(re.escape(query))
    # Each step runs to the first occurrence of the next letter and never looks back: linear in the text.
    steps = "".join(rf"[^\n{re.escape(letter)}]*+{re.escape(letter)}" for letter in query)
    yield re.compile(rf"\n{steps}")
