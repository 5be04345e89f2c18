"""Values seen in this session's replies, by the names of their fields: what completion offers for fields so named.

Nothing here is written anywhere, and secrets are not remembered. What may stand where is the schema's to say.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_MOST_VALUES_OF_A_FIELD: Final = 20
_MOST_FIELDS: Final = 1000
_MOST_PARTS: Final = 2000
"""Parts of a reply that are looked at: what a large one has beyond them is no better than what it begins with."""

_MOST_ITEMS: Final = 50
_LONGEST_TEXT: Final = 100
_SEPARATORS: Final = str.maketrans("", "", "_-. ")
_WORD: Final = r"[A-Z]?[^\W_A-Z]+|[A-Z]+"
_NAMING: Final = frozenset({"id", "uuid", "key", "name", "number", "code", "slug"})
"""Fields that other methods take under the name of what they belong to: the `id` of an order as `order_id`."""


class ReplyValue(NamedTuple):
    """A value and the method whose reply had it."""

    value: str | int | float
    source: str


class ReplyValues:
    """Remembers the latest values of each field. Case and separators of names do not matter: `userId` is `user_id`."""

    def __init__(self) -> None:
        self._fields: dict[str, dict[tuple[type, Any], ReplyValue]] = {}

    def remember(self, method: str, result: Any) -> None:
        """Remember the values in a reply."""
        found = list(_values(result, [_plain(word) for word in re.findall(_WORD, method)]))
        # The first value of a reply is offered first, so it is remembered last.
        for field, value in reversed(found):
            values = self._fields.pop(field, {})
            key = (type(value), value)
            values.pop(key, None)
            values[key] = ReplyValue(value, method)
            if len(values) > _MOST_VALUES_OF_A_FIELD:
                del values[next(iter(values))]
            self._fields[field] = values
        while len(self._fields) > _MOST_FIELDS:
            del self._fields[next(iter(self._fields))]

    def values(self, field_name: str, method: str = "") -> list[ReplyValue]:
        """What was seen in fields of a name, the latest first.

        The name of a list also finds what single fields had. The method tells whose `id` is meant: `order.get` takes
        that of an order.
        """
        plain = _plain(field_name)
        names = [plain, _singular(plain)]
        if plain in _NAMING:
            names[:0] = [_singular(_plain(word)) + plain for word in re.findall(_WORD, method)]
        found: dict[tuple[type, Any], ReplyValue] = {}
        for name in names:
            for key, value in reversed(self._fields.get(name, {}).items()):
                found.setdefault(key, value)
        return list(found.values())


def _values(result: Any, nouns: list[str]) -> Iterator[tuple[str, str | int | float]]:
    """The scalars of a reply with the names they go by, breadth first: every part of it gets its turn."""
    from rpcshell.line.secrets import is_secret

    parts: list[tuple[Any, str, list[str]]] = [(result, "", nouns)]
    for seen, (part, name, owners) in enumerate(parts):
        if seen >= _MOST_PARTS:
            return
        if isinstance(part, dict):
            owner = [name] if name else owners
            parts += [
                (value, str(key), owner)
                for key, value in part.items()
                if value is not None and not isinstance(value, bool) and not is_secret(str(key))
            ][:_MOST_PARTS]
        elif isinstance(part, list | tuple):
            parts += [(item, _singular(name), owners) for item in part[:_MOST_ITEMS]]
        elif name and _is_worth_it(part):
            field = _plain(name)
            yield field, part
            if field in _NAMING:
                for noun in owners:
                    yield _singular(_plain(noun)) + field, part


def _is_worth_it(part: Any) -> bool:
    if isinstance(part, str):
        return 0 < len(part) <= _LONGEST_TEXT and part.isprintable()
    return isinstance(part, int | float) and not isinstance(part, bool) and abs(part) < 10**18


def _plain(name: str) -> str:
    return name.translate(_SEPARATORS).lower()


def _singular(plural: str) -> str:
    """The singular of a word that follows the rules; a wrong one finds nothing, which does no harm."""
    if plural.endswith("ies"):
        return f"{plural[:-3]}y"
    if plural.endswith(("sses", "xes", "ches", "shes")):
        return plural[:-2]
    return plural[:-1] if plural.endswith("s") and not plural.endswith("ss") else plural
