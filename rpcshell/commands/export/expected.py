"""What a second run can be expected to bring: what was the same whenever it was seen, and the type of the rest.

A result is expected as it was only where something speaks for that: the same call brought it twice, and no other call
is known to change what it tells. Even then what is plainly of one run, such as a time or a process, is not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rpcshell.commands.export.exported import SecretPlace, call_key
from rpcshell.commands.export.literals import Expression, Wrapped, literal
from rpcshell.line.properties import property_schema
from rpcshell.line.schema import ANYTHING, allowed_types, alternatives, type_names
from rpcshell.line.secrets import underscored
from rpcshell.view.differences import identity
from rpcwire import TextFloat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rpcshell.commands.export.exported import Export, Key, Secrets
    from rpcshell.line.catalog import Method
    from rpcshell.line.schema import Schema
    from rpcshell.shell.call import Call

ANY: Final = Expression("ANY")
"""`unittest.mock.ANY`: equal to everything."""

_LONGEST: Final = 4000
"""Characters of source for a result; what is longer nobody reads."""

_OF_ONE_RUN: Final = re.compile(
    r"(^|[._-])(pid|ppid|worker|generation|served|hostname|peer|port|uptime|elapsed|duration|latency|now|time|timestamp|uuid|nonce"
    r"|(created|updated|started|modified|expires)_?(at|on)?)(_?(ms|us|ns|s|seconds))?$",
    re.IGNORECASE,
)
"""Keys of values that are different whenever a server or a client is started."""

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DAY: Final = 86_400.0
_UNITS: Final = (1, 10**3, 10**6, 10**9)
"""In a second: of the clocks whose times are recognised as such."""

_LARGEST_CLOCK: Final = 1 << 64

_NAMES: Final = {str: "str", bool: "bool", int: "int, float", float: "int, float", dict: "dict", list: "list"}
_DECIMAL_NAMES: Final = _NAMES | dict.fromkeys((int, float, TextFloat), "int, Decimal")
"""Types by what was seen of them. JSON has one kind of number: a whole one may come with a fraction another time."""


class _Expectation(NamedTuple):
    """What a call is expected to bring: JSON with `Expression` and `Wrapped` in the place of what is not known.

    It is exact where it is expected as it was, apart from what is plainly of one run.
    """

    value: Any
    exact: bool


class Expectations:
    """Looks at all calls of an export together."""

    def __init__(self, export: Export, secrets: Secrets) -> None:
        self._export = export
        self._secrets = secrets
        self._seen: dict[Key, list[Call]] = {}
        for record in export.records:
            if record.outcome == "ok" and record.has_result:
                self._seen.setdefault(call_key(record), []).append(record)
        self._changed = {
            _family(record)
            for record in export.records
            if record.outcome == "ok" and not self._idempotent(record) and len(self._seen.get(call_key(record), ())) < 2
        }

    def of(self, record: Call) -> _Expectation | None:
        """What a call that brought a result is expected to bring; None where the result was not kept."""
        if record.reply is None or not record.has_result:
            return None
        key = call_key(record)
        results = [seen.reply.result for seen in self._seen[key] if seen.reply is not None]
        results += self._export.again.get(key, ())
        exact = self._export.exact or (len(results) > 1 and _family(record) not in self._changed)
        method = self._export.methods.get(record.method)
        names = _DECIMAL_NAMES if self._export.decimals else _NAMES
        reader = _ResultReader(record, method, self._secrets, names)
        schema: Schema = method.result_schema if method is not None else ANYTHING
        value = reader.same(results, "", schema) if exact else reader.shape(results, "", schema)
        if len(literal(value)) > _LONGEST:
            exact = False
            value = reader.shape(results, "", schema)
            if len(literal(value)) > _LONGEST:
                value = reader.some(results, schema)
        return _Expectation(value, exact)

    def _idempotent(self, record: Call) -> bool:
        method = self._export.methods.get(record.method)
        return method is not None and method.idempotent


class _ResultReader:
    """Reads the results of one call."""

    def __init__(self, record: Call, method: Method | None, secrets: Secrets, names: Mapping[type, str]) -> None:
        self._names = names
        self._record = record
        self._method = method
        self._secrets = secrets

    def same(self, values: Sequence[Any], key: str, schema: Schema) -> Any:
        """The values, down to the places where they differ."""
        if (secret := self._secret(values, key)) is not None:
            return secret
        first = values[0]
        if _alike_objects(values):
            return {
                name: self.same([value[name] for value in values], str(name), self._property(schema, str(name)))
                for name in first
            }
        if all(isinstance(value, list) and len(value) == len(first) for value in values):
            return [self.same(items, key, self._items(schema)) for items in zip(*values, strict=True)]
        if all(identity(value) == identity(first) for value in values) and not self._of_one_run(key, first):
            return first
        return self.shape(values, key, schema)

    def shape(self, values: Sequence[Any], key: str, schema: Schema) -> Any:
        """What the values have in common beside their content."""
        if (secret := self._secret(values, key)) is not None:
            return secret
        if _alike_objects(values) and values[0] and not self._is_map(schema):
            return {
                name: self.shape([value[name] for value in values], str(name), self._property(schema, str(name)))
                for name in values[0]
            }
        if all(isinstance(value, list) for value in values):
            items = [item for value in values for item in value]
            if items:
                return Wrapped("Each", self.shape(items, key, self._items(schema)))
        return self.some(values, schema)

    def some(self, values: Sequence[Any], schema: Schema) -> Expression:
        """The types of the values."""
        if any(value is None for value in values):
            return ANY
        if self._method is not None and allowed_types(schema, self._method.resolve) == {"integer"}:
            return Expression("Some(int)")
        return Expression(f"Some({', '.join(dict.fromkeys(self._names[type(value)] for value in values))})")

    def _secret(self, values: Sequence[Any], key: str) -> Expression | None:
        found = [self._secrets.find(value, key) for value in values]
        if not any(found):
            return None
        first = found[0]
        if isinstance(first, SecretPlace) and len(set(map(str, found))) == 1:
            return Expression(first.name)
        return self.some(values, ANYTHING)

    def _of_one_run(self, key: str, value: Any) -> bool:
        if value is None or isinstance(value, bool):
            return False
        if isinstance(value, int) and abs(value) > _LARGEST_CLOCK:
            return False
        if _OF_ONE_RUN.search(underscored(key)):
            return True
        if isinstance(value, str):
            return _INSTANT.match(value) is not None or _UUID.fullmatch(value) is not None
        meta, began = self._record.meta, self._record.began
        if isinstance(value, float) and not value.is_integer() and self._is_time_taken(value):
            return True
        return (meta is not None and value == meta.pid) or any(abs(value / unit - began) < _DAY for unit in _UNITS)

    def _is_time_taken(self, seconds: float) -> bool:
        """Whether a number may be how long the call itself took: two calls can take equally long by chance."""
        service, elapsed = self._record.service, self._record.elapsed
        least = elapsed / 10 if service is None else service / 2
        return least <= seconds <= elapsed

    def _property(self, schema: Schema, name: str) -> Schema:
        found = property_schema(schema, name, self._method.resolve) if self._method is not None else None
        return found if found is not None else ANYTHING

    def _items(self, schema: Schema) -> Schema:
        items = (branch.get("items") for branch in self._branches(schema))
        return next((found for found in items if isinstance(found, dict)), ANYTHING)

    def _is_map(self, schema: Schema) -> bool:
        """Whether an object's keys are data of their own."""
        return any("object" in type_names(one) and not one.get("properties") for one in self._branches(schema))

    def _branches(self, schema: Schema) -> Iterable[Schema]:
        return () if self._method is None else alternatives(schema, self._method.resolve)


def _alike_objects(values: Sequence[Any]) -> bool:
    return all(isinstance(value, dict) and value.keys() == values[0].keys() for value in values)


def _family(record: Call) -> tuple[str, str]:
    """The target, and the namespace of the method: calls of one family may tell of the same things."""
    return record.target, record.method.rpartition(".")[0]
