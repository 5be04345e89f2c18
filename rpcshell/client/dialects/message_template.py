"""Messages with places, and templates of messages, in which texts stand for what differs. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import UNSET

from rpcwire import EncodeError

METHOD, PARAMS, SPREAD, ID = "$method", "$params", "$params...", "$id"
BY_NAME, BY_POSITION, ID_TEXT = "$by-name", "$by-position", "$id-text"
STANDING: Final = (METHOD, PARAMS, SPREAD, BY_NAME, BY_POSITION, ID, ID_TEXT)
"""What stands in a template for what differs from call to call."""

_LONGEST_INDEX: Final = 10

Json = str | int | float | bool | list[Any] | dict[str, Any]


def at_path(message: Any, path: str) -> Any:
    """What stands at a place in a message, or None; at none, it is the message. Items of lists count from 0."""
    for step in path.split(".") if path else ():
        match message:
            case dict():
                message = message.get(step)
            case list() if step.isdecimal() and len(step) < _LONGEST_INDEX and int(step) < len(message):
                message = message[int(step)]
            case _:
                return None
    return message


def has_values(message: Any, values: Mapping[str, Json]) -> bool:
    """Whether a message has these values at their places, or at each one of a list of them."""
    return all(_is_one_of(at_path(message, path), wanted) for path, wanted in values.items())


def _is_one_of(value: Any, wanted: Json) -> bool:
    # To Python, 1 and true are the same.
    return any(
        value == one and isinstance(value, bool) == isinstance(one, bool)
        for one in (wanted if isinstance(wanted, list) else (wanted,))
    )


def texts_in(template: Any) -> Iterator[str]:
    """Every text of a template, and of its keys the one that stands for something."""
    match template:
        case str():
            yield template
        case dict():
            yield from (METHOD for key in template if key == METHOD)
            for inner in template.values():
                yield from texts_in(inner)
        case list():
            for inner in template:
                yield from texts_in(inner)


def needs_params(template: Any) -> bool:
    """Whether the method is a key whose value goes where there are no params."""
    match template:
        case dict():
            gone = (PARAMS, BY_NAME, BY_POSITION)
            return any((key == METHOD and inner in gone) or needs_params(inner) for key, inner in template.items())
        case list():
            return any(map(needs_params, template))
    return False


def path_of(wanted: str, template: Any) -> str | None:
    """Where in a template a text stands, if only objects lead to it, with keys of which a path can be made."""
    for key, inner in template.items() if isinstance(template, dict) else ():
        if not key or "." in key or key == METHOD:
            continue
        if inner == wanted:
            return str(key)
        if (path := path_of(wanted, inner)) is not None:
            return f"{key}.{path}"
    return None


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """A template with the values of what stands in it; members and items without one are left out."""
    match template:
        case str() if template in values:
            return values[template]
        case str() if template.startswith("$$"):
            return template[1:]
        case dict():
            return _filled_object(template, values)
        case list():
            items: list[Any] = []
            for one in template:
                inner = filled(one, values)
                if one == SPREAD and isinstance(inner, list | tuple):
                    items += inner
                elif inner is not UNSET:
                    items.append(inner)
            return items
    return template


def _filled_object(template: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    spread: Any = UNSET
    for key, inner in template.items():
        if inner == SPREAD:
            spread = values[SPREAD]
        elif (value := filled(inner, values)) is not UNSET:
            members[values[METHOD] if key == METHOD else key] = value
    if spread is UNSET:
        return members
    if not isinstance(spread, dict):
        raise EncodeError("calls of this dialect take params by name, as an object")
    if taken := next((key for key in spread if key in members), None):
        raise EncodeError(f"calls of this dialect have no place for a param {taken!r}, which stands for something else")
    return {**members, **spread}
