"""What may stand before an address: the names of dialects and framings, told from hosts and from kinds of addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from rpcshell.client.errors import UsageError

SPOKEN = re.compile(r"([a-z][a-z0-9_]*)(?:\+[a-z0-9-]+)?")
KINDS = ("unix", "exec")
_NOT_DIALECTS = (*KINDS, "tcp", "tls", "http", "https", "localhost")
NATIVE = "native"
NATIVE_FRAMING = "u32le"


def names_dialect(text: str, dialects: Container[str] = ()) -> bool:
    """Whether a text is a dialect, with or without a framing, and no place: what stands before a child's command.

    The `dialects` are those of the configuration, here and below.
    """
    found = SPOKEN.fullmatch(text)
    return found is not None and stands_for_dialect(found[1], "", dialects)


def is_dialect_name(name: str) -> bool:
    """Whether a dialect may be called so: nothing else that stands before an address is."""
    found = SPOKEN.fullmatch(name)
    return found is not None and found[1] == name and name not in _NOT_DIALECTS


def dialect_name(spoken: str) -> str:
    """The name of a dialect, which may have a framing behind it."""
    return spoken.partition("+")[0]


def names_native(text: str) -> bool:
    """Whether the text of a target says that the native protocol is spoken there, which a `Target` does not show."""
    return text.startswith((f"{NATIVE}:", f"{NATIVE_FRAMING}+"))


def is_framing(name: str) -> bool:
    """Whether a text names a framing."""
    # A call in the native protocol needs none but its own.
    from rpcwire.framings import FRAMINGS

    return name in FRAMINGS


def stands_for_dialect(name: str, rest: str, dialects: Container[str] = ()) -> bool:
    """Whether what stands before a colon names a dialect; what stands before a port alone is first of all a host."""
    from rpcshell.client.dialects.registry import is_dialect

    return name in dialects or is_dialect(name, other_packages=not rest.isdecimal())


def unknown_dialect(name: str, dialects: Iterable[str]) -> UsageError:
    """The error for a name that no dialect has."""
    from rpcshell.client.dialects.registry import unknown_dialect as unknown

    return unknown(name, dialects)
