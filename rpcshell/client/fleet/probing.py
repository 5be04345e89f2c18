"""How an instance that was ejected is looked at, before calls go to it again."""

from __future__ import annotations

from typing import Final

from rpcshell.client.errors import ConnectionFailed, ShellError
from rpcshell.client.exchange import Dropped

__all__ = ["PROBE", "PROBE_LIMIT", "problem_of"]

PROBE: Final = "rpc.discover"
"""A method whose reply, be it an error, shows that a worker serves; the name is reserved, and no user's."""

PROBE_LIMIT: Final = 2.0
"""Seconds for a connection, and for an answer."""


def problem_of(error: Dropped | ShellError | TimeoutError) -> str:
    """What is wrong with an instance whose probe has ended so."""
    match error:
        case ConnectionFailed() | Dropped():
            return error.reason
        case ShellError():
            return error.message
    return "no reply in time"
