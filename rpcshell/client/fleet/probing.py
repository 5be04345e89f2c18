"""How an instance that was ejected is looked at, before calls go to it again."""

from __future__ import annotations

from typing import Final

__all__ = ["PROBE", "PROBE_LIMIT"]

PROBE: Final = "rpc.discover"
"""A method whose reply, be it an error, shows that a worker serves; the name is reserved, and no user's."""

PROBE_LIMIT: Final = 2.0
"""Seconds for a connection, and for an answer."""
