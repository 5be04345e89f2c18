"""Finding out what a target offers: one probe, `rpc.discover`, and what its absence means.

A server that does not know `rpc.discover` may answer with an error, say nothing, or end the connection: it is plain,
and gets only a method and params from then on. When to ask is the session's decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import (
    CallTimeout,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    TlsFailed,
)
from rpcshell.line.catalog import EMPTY_CATALOG, Catalog, CatalogError
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from rpcshell.client.client import Client
    from rpcshell.client.target import Target
    from rpcshell.servers.state import TargetMemory
    from rpcwire import Reply

__all__ = ["PROBE_TIMEOUT", "Discovery", "describe"]

PROBE_TIMEOUT: Final = 2.0
"""Seconds the probe waits before the target counts as plain."""

# A server that dies of the probe should not soon get another; one that was only slow, perhaps busy, soon may.
_REMEMBER_ENDED: Final = 7 * 24 * 3600.0
_REMEMBER_SILENT: Final = 3600.0

_TEMPORARY: Final = (ErrorCode.BUSY, ErrorCode.TIMED_OUT)


class Discovery(msgspec.Struct, frozen=True):
    """What the probe showed.

    Attributes:
        catalog: What the target offers; empty where it does not say.
        plain: Whether it knows nothing of discovery.
        note: One line for the user, or None.
        refused: Whether the note is what a call would say as well: the target does not let this client in.
    """

    catalog: Catalog = EMPTY_CATALOG
    plain: bool = False
    note: str | None = None
    refused: bool = False


def describe(client: Client, memory: TargetMemory | None, *, probe_again: bool = False) -> Discovery:
    """Ask a target what it offers.

    Args:
        client: Leads to the target.
        memory: Remembers plain targets between runs, or None.
        probe_again: Ask even a target that is remembered as plain.
    """
    if client.plain:
        return Discovery(plain=True)
    target = str(client.target)
    if memory is not None:
        if probe_again:
            memory.forget(target)
        elif memory.remembers(target):
            return Discovery(plain=True)
    try:
        reply = client.exchange("rpc.discover", timeout=PROBE_TIMEOUT)
    except TlsFailed as error:
        # What a server thinks of a client's certificate it may tell only after the connection is there.
        return Discovery(note=str(error) if client.connections else None, refused=True)
    except ConnectionFailed:
        # The call that comes next meets the same failure and tells the user.
        return Discovery()
    except ConnectionLost as error:
        if not error.may_have_run:
            return Discovery()
        if memory is not None:
            memory.remember(target, seconds=_REMEMBER_ENDED)
        return _plain(target, "it ended the connection when asked what it offers", error.hint)
    except CallTimeout:
        if _is_own(client.target):
            # Its workers are held by others; when one is free again, it does say what it offers.
            hint = f":connect {target} --refresh asks again"
            return Discovery(note=f"{target} is too busy to say what it offers: {hint}")
        if memory is not None:
            memory.remember(target, seconds=_REMEMBER_SILENT)
        return _plain(target, f"it did not say within {PROBE_TIMEOUT:g} s what it offers")
    except ProtocolError as error:
        return Discovery(plain=True, note=error.message)
    return _read(target, reply)


def _read(target: str, reply: Reply) -> Discovery:
    fault = reply.fault
    if fault is not None:
        if fault.code in _TEMPORARY:
            return Discovery(note=f"{target} is too busy to say what it offers")
        return _plain(target, "it does not know rpc.discover")
    try:
        return Discovery(Catalog.from_openrpc(reply.result))
    except CatalogError:
        return _plain(target, "its answer to rpc.discover is no OpenRPC document")


def _is_own(target: Target) -> bool:
    """Whether a server of the user on this machine listens there, which always describes itself."""
    from rpcshell.servers import local_servers
    from rpcshell.servers.directory import listens_at

    return any(listens_at(address, target) for server in local_servers() for address in server.addresses)


def _plain(target: str, why: str, hint: str | None = None) -> Discovery:
    note = f"{target} is a plain server: {why}, so its methods cannot be completed or checked"
    return Discovery(plain=True, note=f"{note}; {hint}" if hint else note)
