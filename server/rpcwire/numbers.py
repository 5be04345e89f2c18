"""Numbers with a fraction or an exponent, and what becomes of them: Python's float holds only some of them exactly.

Integers need none of this, as Python has them in any size, but for `-0`, which it has as a float only.
"""

from __future__ import annotations

import contextlib
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

Floats = Literal["float", "decimal", "text"]
"""What such a number of JSON is read as.

"float" is Python's, the nearest there is; "decimal" a `decimal.Decimal`, which keeps every digit; "text" a float too,
but a `TextFloat` where Python would write it otherwise.
"""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

_NEGATIVE_ZERO: Final = re.compile(rb"(?<![eE])-0(?![.\deE])")
_STRING_OR_NEGATIVE_ZERO: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|(?<![eE])-0(?![.\deE])', re.DOTALL)
_MARKED: Final = b"-0E-00000000"
"""A negative zero as nobody writes it: a float for msgspec."""


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
    if text == _MARKED.decode():
        text = "-0"
    value = float(text)
    # Of exponents Python and msgspec write each their own form.
    return value if repr(value) == text and "e" not in text else TextFloat(text)


def _reading_negative_zeros(decode: Callable[[bytes | bytearray], T]) -> Callable[[bytes | bytearray], T]:
    """Make a decoder of msgspec, with `read_float` for its hook, read each integer `-0` as the `TextFloat` of it."""

    def decode_marked(body: bytes | bytearray) -> T:
        if b"-0" in body and _NEGATIVE_ZERO.search(body):
            marked = _STRING_OR_NEGATIVE_ZERO.sub(lambda found: _MARKED if found[0] == b"-0" else found[0], body)
            # It may stand where only an integer may.
            with contextlib.suppress(msgspec.ValidationError):
                return decode(marked)
        return decode(body)

    return decode_marked


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


def json_decoders(wanted: type[T] | Any) -> dict[str, Callable[[bytes | bytearray], T]]:
    """What decodes JSON into what is wanted, for each of `Floats`; it raises what decoders of msgspec raise."""
    decoders = {floats: msgspec.json.Decoder(wanted, float_hook=hook).decode for floats, hook in FLOAT_HOOKS.items()}
    return {**decoders, "text": _reading_negative_zeros(decoders["text"])}
