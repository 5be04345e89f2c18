"""A value as JSON for people to read, and for a line to be typed: on one line, with blanks, numbers as they came."""

import msgspec

from rpcwire import encode_value


def json_text(value: object) -> str:
    """A value as JSON on one line; raises `EncodeError` where JSON cannot carry it."""
    return msgspec.json.format(encode_value(value), indent=0).decode()
