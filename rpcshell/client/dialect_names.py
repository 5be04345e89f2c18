"""What may stand before an address: the names of dialects and framings, told from hosts and from kinds of addresses.

Which dialects there are is here: the table of our own, and those that other packages name by the entry point
`rpcshell.dialects`. None is loaded here; `dialects.registry` does that.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Any, Final

from rpcshell.client.errors import UsageError

SPOKEN = re.compile(r"([a-z][a-z0-9_]*)(?:\+[a-z0-9-]+)?")
KINDS = ("unix", "exec")
_NOT_DIALECTS = (*KINDS, "tcp", "tls", "http", "https", "localhost")
NATIVE = "native"
NATIVE_FRAMING = "u32le"
OWN: Final = {
    "native": "native:Native",
    "acp": "acp:Acp",
    "dap": "dap:Dap",
    "jsonrpc": "jsonrpc:JsonRpc",
    "jsonrpc1": "jsonrpc:JsonRpc1",
    "lsp": "lsp:Lsp",
    "mcp": "mcp.dialect:Mcp",
    "qmp": "qmp:Qmp",
    "mpv": "mpv:Mpv",
    "qga": "qga:GuestAgent",
    "ovsdb": "ovsdb:Ovsdb",
    "kodi": "kodi:Kodi",
    "varlink": "varlink:Varlink",
}
"""Modules and classes of the dialects that are here, by name."""

_ENTRY_POINTS: Final = "rpcshell.dialects"
"""The group of entry points in which other packages name their dialects: classes like `FramedDialect`."""


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


def is_dialect(name: str, *, other_packages: bool = True) -> bool:
    """Whether there is a dialect of that name, here or in other packages."""
    return name in OWN or (other_packages and name in in_other_packages())


def in_other_packages() -> dict[str, Any]:
    """The dialects that other packages offer, by name, not loaded yet."""
    # Reading what is installed takes longer than a call: only a name that is not ours pays for it.
    from importlib.metadata import entry_points

    return {found.name: found for found in entry_points(group=_ENTRY_POINTS)}


def stands_for_dialect(name: str, rest: str, dialects: Container[str] = ()) -> bool:
    """Whether what stands before a colon names a dialect; what stands before a port alone is first of all a host."""
    return name in dialects or is_dialect(name, other_packages=not rest.isdecimal())


def unknown_dialect(name: str, dialects: Iterable[str] = ()) -> UsageError:
    """The error for a name that no dialect has."""
    known = ", ".join(sorted({*OWN, *dialects, *in_other_packages()}))
    return UsageError(f"there is no dialect {name!r}", hint=f"there are {known}")
