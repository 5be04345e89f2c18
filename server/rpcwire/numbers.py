"""Numbers with a fraction or an exponent, and what becomes of them: Python's float holds only some of them exactly.

Integers need none of this: Python has them in any size.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, Self

import msgspec

__all__ = ["FLOAT_HOOKS", "Floats", "TextFloat", "read_float", "write_text_float"]

Floats = Literal["float", "decimal", "text"]
"""What such a number of JSON is read as.

"float" is Python's, the nearest there is; "decimal" a `decimal.Decimal`, which keeps every digit; "text" a float too,
but a `TextFloat` where Python would write it otherwise.
"""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class TextFloat(float):
    """A float that is written as it was: `2.50`, `1E400`, or with more digits than a float has.

    Args:
        text: A number of JSON (RFC 8259, section 6).

    Raises:
        ValueError: It is none.
    """

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Self:
        """Read it."""
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"not a number of JSON: {text!r}")
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]
        return (self.text,)

    def __repr__(self) -> str:
        return self.text


def read_float(text: str) -> float:
    """The float of a number of JSON: a plain one where that is written just so, else a `TextFloat`."""
    value = float(text)
    # Of exponents Python and msgspec write each their own form.
    return value if repr(value) == text and "e" not in text else TextFloat(text)


def write_text_float(value: object) -> msgspec.Raw:
    """Write a `TextFloat` for an encoder of msgspec, whose `enc_hook` this is.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(value, TextFloat):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def _read_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise msgspec.DecodeError("a number has an exponent that is out of range") from None


FLOAT_HOOKS: Final = {"float": None, "decimal": _read_decimal, "text": read_float}
"""Reads a number for msgspec, by what is wanted."""
