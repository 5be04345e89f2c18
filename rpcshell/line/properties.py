"""The properties that an object may have by its schema, with what is there already taken into account."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from rpcshell.line.brief import first_line
from rpcshell.line.schema import ANYTHING, Resolver, Schema, alternatives, as_schema, fixed_values

MAX_NAMES = 20_000
"""Names of properties that are gone through to complete one."""

_MOST_DIFFERENT = 8
"""Schemas that alternatives have for one property; to compare more takes too long."""

_MOST_TAGS = 100
"""Scalars beside a property, and values of one, that may tell alternatives apart."""


class Property(msgspec.Struct, frozen=True):
    """A property that an object schema names."""

    name: str
    schema: Schema
    required: bool

    @property
    def description(self) -> str:
        """The first line of its description, or nothing."""
        return first_line(self.schema.get("description"))


class Properties:
    """The properties that an object may have at one place; each is looked at when it is asked for.

    Alternatives that a scalar in `present` rules out, as the tag of a tagged union does, are left out unless that would
    leave none.
    """

    def __init__(self, schema: Schema, resolve: Resolver, present: Mapping[str, Any] = ANYTHING) -> None:
        all_branches = alternatives(schema, resolve, present)
        branches = [branch for branch in all_branches if isinstance(branch.get("properties"), Mapping)]
        fitting = [branch for branch in branches if not _ruled_out(branch, present, resolve)] or branches
        self._named: list[Mapping[str, Any]] = [branch["properties"] for branch in fitting]
        self._lists = [branch.get("required") for branch in fitting]
        if not any(self._named):
            # An object that names none may still say which names there are.
            self._named = _listed_keys(all_branches, resolve)
            self._lists = []
        self._required: list[frozenset[str]] | None = None

    def __len__(self) -> int:
        """How many names there are; one that is in several alternatives may count several times."""
        return sum(map(len, self._named))

    def __iter__(self) -> Iterator[str]:
        """Their names, in the order of the schema, each of them once; the first `MAX_NAMES` that it has."""
        return iter(dict.fromkeys(islice((name for named in self._named for name in named), MAX_NAMES)))

    def schema(self, name: str) -> Schema | None:
        """The schema of one of them, or None where it is not named."""
        schemas: list[Schema] = []
        for named in self._named:
            if name in named and not any(named[name] is one for one in schemas):
                schemas.append(as_schema(named[name]))
        different = _different(schemas)
        return {"anyOf": different} if len(different) > 1 else next(iter(different), None)

    def get(self, name: str) -> Property | None:
        """One of them, or None where it is not named."""
        schema = self.schema(name)
        if schema is None:
            return None
        if self._required is None:
            self._required = list(_required(self._lists))
        return Property(name, schema, bool(self._lists) and all(name in names for names in self._required))

    def first(self, most: int) -> list[Property]:
        """The first of them."""
        return [found for name in islice(self, most) if (found := self.get(name)) is not None]


def _required(lists: Iterable[object]) -> Iterator[frozenset[str]]:
    """The names in each of the lists, `MAX_NAMES` of them together."""
    room = MAX_NAMES
    for listed in lists:
        names = listed[:room] if isinstance(listed, list) else []
        room -= len(names)
        yield frozenset(name for name in names if isinstance(name, str))


def _different(schemas: list[Schema]) -> list[Schema]:
    """The first different ones of some schemas; what is nested too deeply to tell counts as different."""
    found: list[Schema] = []
    for schema in schemas[:_MOST_DIFFERENT]:
        try:
            known = schema in found
        except RecursionError:
            known = False
        if not known:
            found.append(schema)
    return found


def _listed_keys(branches: Iterable[Schema], resolve: Resolver) -> list[Mapping[str, Any]]:
    """The keys of an object that names none but says which names there are."""
    for branch in branches:
        names = branch.get("propertyNames")
        listed = fixed_values(resolve(names)) if isinstance(names, Mapping) else ()
        value = as_schema(branch.get("additionalProperties"))
        if keys := [name for name in listed if isinstance(name, str)]:
            return [dict.fromkeys(keys, value)]
    return []


def _ruled_out(branch: Schema, present: Mapping[str, Any], resolve: Resolver) -> bool:
    for name, value in islice(present.items(), _MOST_TAGS):
        if name in branch["properties"]:
            fixed = fixed_values(resolve(as_schema(branch["properties"][name])))
            if 0 < len(fixed) <= _MOST_TAGS and value not in fixed:
                return True
    return False


def property_schema(
    schema: Schema, name: str, resolve: Resolver, present: Mapping[str, Any] = ANYTHING
) -> Schema | None:
    """The schema of one property of an object, or None where the schema does not speak of it."""
    named = Properties(schema, resolve, present).schema(name)
    if named is not None:
        return named
    for branch in alternatives(schema, resolve, present):
        # A name may fit a pattern; those are not tried, as a server's may take for ever.
        if isinstance(rest := branch.get("additionalProperties"), Mapping) and "patternProperties" not in branch:
            return rest
    return None
