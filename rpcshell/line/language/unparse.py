"""From a call back to a line that can be typed, shown in a history or written to a script."""

import re
from typing import Any

from rpcshell.line.json_text import json_text, scalar_text

_PLAIN_METHOD = re.compile(r"(?:\$/|[^\W\d])[\w.\-/:]*")
_PLAIN_KEY = re.compile(r"[^\W\d][\w.\-]*")


def unparse(method: str, value: Any) -> str:
    """The line that calls `method` with `value` as its params.

    `parse` of it yields the same method and value. Characters that do not print, or that reorder text on a screen, come
    out as escapes. Raises `EncodeError` where JSON cannot carry the value: an infinity, a cycle, an integer too long.
    """
    return f"{method_text(method)} {escape(json_text(value))}"


def method_text(name: str) -> str:
    """A method name as it is typed: quoted only where the language would read it otherwise."""
    return name if _PLAIN_METHOD.fullmatch(name) and name.isprintable() else quote(name)


def key_text(name: str) -> str:
    """The key of a `key=value` pair as it is typed: quoted only where the language would read it otherwise."""
    return name if _PLAIN_KEY.fullmatch(name) and name.isprintable() else quote(name)


def quote(text: str, mark: str = '"') -> str:
    """A string literal with `mark`, a single or double quote, at both ends."""
    literal = scalar_text(text)
    if mark == "'":
        literal = "'" + literal[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
    return escape(literal)


def escape(text: str) -> str:
    """JSON text with characters that do not print, which only strings can have, as `\\u` escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _unicode_escape(char) for char in text)


def _unicode_escape(char: str) -> str:
    code = ord(char)
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
