"""Messages with places, and templates of messages, in which texts stand for what differs. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ID",
    "METHOD",
    "PARAMS",
    "SPREAD",
    "STANDING",
    "Json",
    "at_path",
    "filled",
    "is_one_of",
    "path_of",
    "spreads_elsewhere",
    "texts_in",
]

METHOD, PARAMS, SPREAD, ID = "$method", "$params", "$params...", "$id"
STANDING: Final = (METHOD, PARAMS, SPREAD, ID)
"""What stands in a template for what differs from call to call."""

Json = str | int | float | bool | list[Any] | dict[str, Any]


def at_path(message: Any, path: str) -> Any:
    """What stands at a place in a message, or None; at none, it is the message."""
    for step in path.split(".") if path else ():
        if not isinstance(message, dict):
            return None
        message = message.get(step)
    return message


def is_one_of(value: Any, wanted: Json) -> bool:
    """Whether a value is the one that is wanted, or in a list of them."""
    # To Python, 1 and true are the same.
    return any(
        value == one and isinstance(value, bool) == isinstance(one, bool)
        for one in (wanted if isinstance(wanted, list) else (wanted,))
    )


def texts_in(template: Any) -> Iterator[str]:
    """Every text of a template but its keys."""
    match template:
        case str():
            yield template
        case dict():
            for inner in template.values():
                yield from texts_in(inner)
        case list():
            for inner in template:
                yield from texts_in(inner)


def spreads_elsewhere(template: Any) -> bool:
    """Whether params are to be spread where there is no list."""
    match template:
        case dict():
            return any(inner == SPREAD or spreads_elsewhere(inner) for inner in template.values())
        case list():
            return any(map(spreads_elsewhere, template))
    return False


def path_of(wanted: str, template: Any) -> str | None:
    """Where in a template a text stands, if only objects lead to it, with keys of which a path can be made."""
    for key, inner in template.items() if isinstance(template, dict) else ():
        if not key or "." in key:
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
            members = {key: filled(inner, values) for key, inner in template.items()}
            return {key: inner for key, inner in members.items() if inner is not UNSET}
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
