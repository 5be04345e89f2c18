"""What a target offers: its description as a catalog, and what it means for the session where there is none.

A target that cannot describe itself is plain: it gets only a method and params from then on. How it is asked is the
dialect's business; when, the session's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.dialects import Description
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ProtocolError, TlsFailed
from rpcshell.line.catalog import EMPTY_CATALOG, Catalog, CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.client import Client
    from rpcshell.client.target import Target
    from rpcshell.servers.target_memory import TargetMemory

__all__ = ["Discovery", "describe"]

# A server that dies of being asked should not soon be asked again; one that was only slow, perhaps busy, soon may.
_REMEMBERED: Final = {"ended": 7 * 24 * 3600.0, "silent": 3600.0}


class Discovery(msgspec.Struct, frozen=True):
    """What came of asking."""

    catalog: Catalog = EMPTY_CATALOG
    plain: bool = False
    note: str | None = None
    """One line for the user, or None."""

    refused: bool = False
    """Whether the note is what a call would say as well: the target does not let this client in."""

    failed: bool = False
    """Whether that says nothing about what it offers: another time it may be told."""


def describe(
    client: Client,
    memory: TargetMemory | None,
    is_own: Callable[[Target], bool],
    *,
    probe_again: bool = False,
    known: Catalog | None = None,
) -> Discovery:
    """Ask a target what it offers.

    Args:
        client: Leads to the target.
        memory: Remembers plain targets between runs, or None.
        is_own: Whether a server of the user listens at a target, which always describes itself.
        probe_again: Ask even a target that is remembered as plain.
        known: What it has said before, which holds where it fails to say so again.
    """
    holds = known is not None and bool(known.methods)
    found = _asked(client, None if holds else memory, is_own, probe_again=probe_again)
    if known is None or not holds or not found.failed:
        return found
    note = f"{client.target} has not said again what it offers: what it said before is kept"
    return Discovery(known, note=found.note if found.refused else found.note and note, refused=found.refused)


def _asked(
    client: Client, memory: TargetMemory | None, is_own: Callable[[Target], bool], *, probe_again: bool
) -> Discovery:
    if client.plain:
        return Discovery(plain=True)
    target = str(client.target)
    if memory is not None:
        if probe_again:
            memory.forget(target)
        elif memory.remembers(target):
            return Discovery(plain=True)
    try:
        found = client.describe()
    except TlsFailed as error:
        # What a server thinks of a client's certificate it may tell only after the connection is there.
        return Discovery(note=str(error) if client.connections else None, refused=True, failed=True)
    except (ConnectionFailed, ConnectionLost):
        # The call that comes next meets the same failure and tells the user.
        return Discovery(failed=True)
    except CallTimeout as error:
        found = Description(missing="silent", reason=f"it did not say within {error.seconds:g} s what it offers")
    except ProtocolError as error:
        return Discovery(plain=True, note=error.message, failed=client.listens)
    match found.missing:
        case None:
            try:
                return Discovery(Catalog.from_openrpc(found.document))
            except CatalogError:
                return _plain(target, "what it says of itself is no OpenRPC document")
        case "busy":
            return Discovery(note=f"{target} is too busy to say what it offers", failed=True)
        case "silent" if is_own(client.target):
            # Its workers are held by others; when one is free again, it does say what it offers.
            hint = f":connect {target} --refresh asks again"
            return Discovery(note=f"{target} is too busy to say what it offers: {hint}", failed=True)
        case "silent" | "ended" as missing if memory is not None:
            memory.remember(target, seconds=_REMEMBERED[missing])
    # A native server that ends the connection, or knows no such question, is another one by now.
    return _plain(target, found.reason, found.hint, failed=client.listens or found.missing == "silent")


def _plain(target: str, why: str, hint: str | None = None, *, failed: bool = False) -> Discovery:
    note = f"{target} is a plain server: {why}, so its methods cannot be completed or checked"
    return Discovery(plain=True, note=f"{note}; {hint}" if hint else note, failed=failed)
