"""What a server says may have any form: members read as what they should be, and as nothing where they are not that.

Messages too, where they are JSON but for what other readers let through.
"""

from __future__ import annotations

from typing import Any, Final

from rpcwire import ParseError, decode_value

_LONGEST_NUMBER: Final = 18


def as_mapping(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """A text, or an empty one."""
    return value if isinstance(value, str) else ""


def as_number(value: Any) -> int | None:
    """The whole number that an id or a code is, also where 1 is written as 1.0 or as "1"; None where it is none."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) <= _LONGEST_NUMBER else None
    if value is None or isinstance(value, bool | list | dict):
        return None
    # A float, whatever those became.
    return int(value) if float(value).is_integer() else None


def nearly_json(body: bytes, unknown: list[str] | None = None) -> Any:
    """A message that is JSON, or that Python's own `json` takes for it: with NaN, Infinity, halves of characters.

    What JSON has no word for is null in the message, and added to the `unknown`.

    Raises:
        ParseError: It is neither.
    """
    try:
        return decode_value(body)
    except ParseError:
        import json

        words = [] if unknown is None else unknown
        try:
            return json.loads(body.decode("utf-8", "replace"), strict=False, parse_constant=words.append)
        except (ValueError, RecursionError):
            pass
        raise
