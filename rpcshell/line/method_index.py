"""Finding methods by what a user typed: by prefix, by a dotted segment, by letters in order; and near misses.

Built once for a catalog, so that a key press costs a search and not a sort.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from rpcshell.line.near_names import near_names

MENU = 40
"""Names that a menu offers at most; prompt_toolkit measures all of them at every key, and nobody scrolls further.

Who wants to know whether there is one asks for as many, so that one search is enough for both."""

_SEPARATORS = "._-/: "
_RAREST_FIRST = "zqxjkvbpygfwmucldrhsnioate"
_NEAR = 3
_LENGTH_SLACK = 3
# A key press has no time to rank more.
_MOST_RANKED = 500
_MOST_HITS = 5000
_FEW = 500
_MOST_SEARCHED = 50_000
_LONGEST_SEARCHED = 4_000_000
"""Characters of names that are searched for what they hold; those after them are found by how they begin."""


class MethodIndex:
    """An immutable index of method names; all searches ignore case and come in the same order every time."""

    __slots__ = ("_last", "_lower", "_names", "_near", "_offsets", "_searched", "_text")

    def __init__(self, names: Iterable[str]) -> None:
        pairs = sorted((name.lower(), name) for name in names)
        self._lower = [lower for lower, _ in pairs]
        self._names = [name for _, name in pairs]
        # One text for one search: a hundred times faster than a loop over the names in Python.
        self._offsets: list[int] = []
        offset = 0
        for lower in islice(self._lower, _MOST_SEARCHED):
            if offset + len(lower) > _LONGEST_SEARCHED:
                break
            self._offsets.append(offset)
            offset += len(lower) + 1
        self._searched = pairs[: len(self._offsets)]
        self._text = "".join(f"\n{lower}" for lower, _ in self._searched) + "\n"
        self._near: tuple[str, list[str]] = ("", [])
        self._last: tuple[str, int, list[str]] = ("", 0, [])

    def search(self, typed: str, limit: int) -> list[str]:
        """At most `limit` names: those that begin with what was typed, then those with a segment that does, those
        it abbreviates (`oc` and `o.cr` for `order.create`), those that hold it, and those with its letters in order.

        Where more begin with it than there may be, the last of those is the last: what it and the first have in
        common, all have.
        """
        query = typed.lower()
        first, last = self._prefixed(query)
        before, most, names = self._last
        if query == before and (limit == most or (last - first <= limit and (limit < most or len(names) < most))):
            # Completions, the row at the bottom and near names ask for the same.
            return names[:limit]
        found = dict.fromkeys(self._names[first : min(last, first + limit)])
        if limit > 1 and last - first > limit:
            found.popitem()
            found[self._names[last - 1]] = None
        if query and "\n" not in query and len(found) < limit:
            segments, inner = self._holding(query, limit)
            found |= dict.fromkeys(segments)
            if len(found) < limit:
                short, scattered = self._in_order(query)
                found |= dict.fromkeys([*short, *inner, *scattered])
        names = list(islice(found, limit))
        self._last = query, limit, names
        return list(names)

    def may_become(self, typed: str) -> bool:
        """Whether a search finds any name."""
        first, last = self._prefixed(typed.lower())
        return first < last or bool(self.search(typed, MENU))

    def beginning(self, typed: str, limit: int) -> list[str]:
        """At most `limit` names that begin with what was typed."""
        first, last = self._prefixed(typed.lower())
        return self._names[first : min(last, first + limit)]

    def near(self, typed: str) -> list[str]:
        """At most three names that what was typed is the first word of, or that look like it: for "did you mean"."""
        query = typed.lower()
        if not query:
            return []
        if self._near[0] != query:
            # Asked again and again while the rest of a line is typed.
            self._near = (query, self._look_near(query))
        return list(self._near[1])

    def _look_near(self, query: str) -> list[str]:
        found = dict.fromkeys(self.beginning(f"{query} ", _NEAR))
        close = near_names(query, self._candidates(query), _NEAR)
        found |= dict.fromkeys(self._names[bisect_left(self._lower, lower)] for lower in close)
        if len(found) < _NEAR:
            for name in self.search(query, _NEAR):
                found.setdefault(name)
        return list(islice(found, _NEAR))

    def _candidates(self, query: str) -> Iterator[str]:
        """Names that are worth a close look, which is slow: a slip in one half leaves the other half as it is.

        Of few names all are.
        """
        half = len(query) // 2
        first, last = self._prefixed(query[:half])
        likely: Iterable[str] = self._lower
        if len(self._lower) > _FEW:
            likely = chain(islice(self._lower, first, last), islice(self._lower_names_ending_with(query[half:]), _FEW))
        return (lower for lower in dict.fromkeys(likely) if abs(len(lower) - len(query)) <= _LENGTH_SLACK)

    def _lower_names_ending_with(self, query: str) -> Iterator[str]:
        end = f"{query}\n"
        at = self._text.find(end)
        while at >= 0:
            yield self._lower[bisect_right(self._offsets, at) - 1]
            at = self._text.find(end, at + 1)

    def _prefixed(self, query: str) -> tuple[int, int]:
        """The first of the names that begin with a text, and the one after the last."""
        first = bisect_left(self._lower, query)
        last = bisect_left(self._lower, True, first, key=lambda lower: not lower.startswith(query))
        return first, last

    def _holding(self, query: str, limit: int) -> tuple[list[str], list[str]]:
        """Names with a segment that begins with a text, and names that hold it elsewhere."""
        text = self._text
        segments: list[str] = []
        inner: list[str] = []
        at = text.find(query)
        for _ in range(_MOST_HITS):
            if at < 0 or len(segments) >= limit:
                break
            index = bisect_right(self._offsets, at) - 1
            if _begins_word(self._lower[index], self._names[index], at - self._offsets[index] - 1):
                segments.append(self._names[index])
                at = self._offsets[index] + len(self._lower[index])
            elif len(inner) < limit:
                inner.append(self._names[index])
            at = text.find(query, at + 1)
        return segments, inner

    def _in_order(self, query: str) -> tuple[list[str], list[str]]:
        """Names that a text abbreviates, and other names with its letters in order, the better ones first."""
        letters = sorted(set(query), key=_RAREST_FIRST.find)
        pairs = self._searched
        for letter in letters[:3]:
            pairs = [pair for pair in pairs if letter in pair[0]]
        # Each step runs to the first occurrence of the next letter and never looks back: linear in the name.
        steps = "".join(rf"[^{re.escape(letter)}]*+{re.escape(letter)}" for letter in query)
        matches = re.compile(steps, re.DOTALL).match
        hits = list(islice((pair for pair in pairs if matches(pair[0])), _MOST_RANKED))
        ranked = sorted((_jumps(query, lower, name), len(name), lower, name) for lower, name in hits)
        short = [name for (inside, _), _, _, name in ranked if not inside]
        scattered = [name for (inside, _), _, _, name in ranked if inside]
        return short, scattered


def _begins_word(lower: str, name: str, at: int) -> bool:
    """Whether a part of a name begins here: after a separator, or with a capital as in `getUser`."""
    if at == 0 or lower[at - 1] in _SEPARATORS:
        return True
    # The lower case of a few letters is longer than they are.
    return len(lower) == len(name) and name[at].isupper() and not name[at - 1].isupper()


def _jumps(query: str, lower: str, name: str) -> tuple[int, int]:
    """How often the letters of a text, looked for in a name, are not beside each other: into words, and at all."""
    inside = jumps = 0
    at = -1
    for letter in query:
        if lower[at + 1 : at + 2] == letter and at >= 0:
            at += 1
            continue
        jumps += 1
        place = lower.find(letter, at + 1)
        while place >= 0 and not _begins_word(lower, name, place):
            place = lower.find(letter, place + 1)
        if place < 0:
            inside += 1
            place = lower.find(letter, at + 1)
            if place < 0:
                # A word that was chosen too late; the letters are there, only not in words.
                return len(query), len(query)
        at = place
    return inside, jumps
