"""A value as JSON for people to read, and for a line to be typed: on one line, with blanks, numbers as they came."""

import msgspec

from rpcwire import encode_value


def json_text(value: object) -> str:
    """A value as JSON on one line; raises `EncodeError` where JSON cannot carry it."""
    return msgspec.json.format(encode_value(value), indent=0).decode()


def scalar_text(value: object) -> str:
    """A text, a number, or what else has no parts, as JSON; what JSON has no word for as a text."""
    # Most lines are only read, and a call without a catalog writes nothing.
    import json

    return json.dumps(value, ensure_ascii=False, default=str)
