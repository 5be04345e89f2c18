"""Feeding dialects what a server says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpcshell.client.dialects.framed import FramedDialect

__all__ = ["said"]


def said(dialect: FramedDialect, *pieces: bytes) -> list[Any]:
    """What a dialect makes of pieces that come one after another."""
    found = []
    for piece in pieces:
        dialect.receive(piece)
        while (message := dialect.next_event()) is not None:
            found.append(message)
    return found
