"""What keeps a value from being read or written as JSON: errors of msgspec and of UTF-8, as this package says them."""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from rpcwire.errors import EncodeError, InvalidReply, ParseError

READ_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where bytes are no JSON, or not of the form that is wanted."""

WRITE_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What it raises where JSON, or MessagePack, cannot carry a value."""

NOT_FINITE: Final = "NaN and Infinity are not JSON; send null or a string instead"
"""What is said of these numbers."""

_LONG_INTEGER = f"an integer has more than {sys.int_info.default_max_str_digits} digits"


def encode_error(error: Exception) -> EncodeError:
    """Say what kept a value from being written as JSON."""
    if isinstance(error, UnicodeEncodeError):
        return EncodeError("a string holds a lone surrogate, which UTF-8 cannot carry")
    if isinstance(error, RecursionError):
        return EncodeError("the value is nested too deeply, or contains itself")
    # From msgspec 0.23 on; before it wrote them.
    if "non-finite value of a decimal" in str(error):
        return EncodeError(NOT_FINITE)
    return EncodeError(reason_of(error))


def parse_error(error: Exception) -> ParseError:
    """Say what kept a body from being read as JSON: one of msgspec's errors, of UTF-8, or of its depth."""
    if isinstance(error, UnicodeDecodeError):
        return ParseError(f"a string is not UTF-8 ({error.reason}, byte 0x{error.object[error.start]:02x})")
    if isinstance(error, RecursionError):
        return ParseError("the JSON is nested too deeply")
    said = reason_of(error)
    return ParseError("the JSON ends too early" if said == "input data was truncated" else said)


def invalid_reply(error: Exception) -> InvalidReply:
    """Say what kept JSON from being read as a reply: its form, or a number that has no room."""
    reason = reason_of(error)
    if reason.startswith(_LONG_INTEGER):
        return InvalidReply(reason)
    if reason.startswith("number out of range"):
        return InvalidReply(f'{reason}; floats="decimal" has room for it')
    return InvalidReply(f'{reason}; a reply is {{"out": NAME, "result": …}}')


def reason_of(error: Exception) -> str:
    """Have what msgspec says go on in a sentence; a name in capitals stays."""
    text = str(error).replace("Integer value out of range", _LONG_INTEGER)
    return text[:1].lower() + text[1:] if not text[:4].isupper() else text
