"""Finding what JSON does not have in values that are to be sent: NaN, Infinity, and what was never JSON."""

from __future__ import annotations

import enum
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcwire.errors import EncodeError
from rpcwire.json_errors import NOT_FINITE, READ_ERRORS, WRITE_ERRORS
from rpcwire.numbers import TextFloat

if TYPE_CHECKING:
    from collections.abc import Sequence

_encode_binary = msgspec.msgpack.Encoder().encode
_skim = msgspec.json.Decoder(msgspec.Raw).decode

_may_be_nonfinite: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]").search
"""Finds what begins as NaN and Infinity do in MessagePack: its mark of a float, and an exponent of ones (IEEE 754)."""

_FINITE: Final = frozenset({type(None), bool, int, str, bytes, TextFloat})


def refuse_nonfinite(value: object, *, decimals: bool = False) -> None:
    """Refuse what holds NaN or Infinity; `value` is what msgspec has just written, of which a float became null.

    MessagePack keeps them, and is written as fast as JSON. Only where it seems to hold one, in what may be an integer
    or bytes as well, or cannot hold what JSON can, is each part looked at. With `decimals` each `Decimal` became a
    number, these two too.

    Raises:
        EncodeError: It holds one.
    """
    try:
        if not decimals and _may_be_nonfinite(_encode_binary(value)) is None:
            return
    except WRITE_ERRORS:
        pass  # Integers of more than 64 bits, for one.
    # Of each kind it is asked once what it is: a large value has many of few.
    finite = set(_FINITE)
    fields: dict[type, Sequence[str]] = {}
    pending: list[Any] = [(value,)]
    while pending:
        whole = pending.pop()
        for part in whole.values() if isinstance(whole, dict) else whole:
            kind = type(part)
            if kind in finite:
                continue
            if kind in fields:
                pending.append([getattr(part, name, None) for name in fields[kind]])
                continue
            if kind is dict or kind is list:
                if part:
                    pending.append(part)
            elif isinstance(part, float):
                if not math.isfinite(part):
                    raise EncodeError(NOT_FINITE)
            elif isinstance(part, Decimal):
                if decimals and not part.is_finite():
                    raise EncodeError(NOT_FINITE)
            elif isinstance(part, dict | list | tuple | set | frozenset):
                pending.append(part)
            elif names := _field_names(kind):
                fields[kind] = names
                pending.append([getattr(part, name, None) for name in names])
            else:
                finite.add(kind)


def refuse_unreadable(value: msgspec.Raw) -> None:
    """Refuse what was written elsewhere as JSON and is none, without reading what it means.

    Raises:
        EncodeError: It is no JSON.
    """
    try:
        _skim(value)
        # What is in strings was not looked at.
        str(memoryview(value), "utf-8")
    except READ_ERRORS as error:
        raise EncodeError(f"a msgspec.Raw that is no JSON ({error})") from None


def _field_names(kind: type) -> Sequence[str]:
    """What may hold a float in structs, dataclasses, attrs classes and enums; nothing else that msgspec writes does."""
    if issubclass(kind, enum.Enum):
        return () if all(type(member.value) in _FINITE for member in kind) else ("value",)
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if (fields := getattr(kind, "__dataclass_fields__", None)) is not None:
        return tuple(fields)
    return [attribute.name for attribute in getattr(kind, "__attrs_attrs__", ())]
