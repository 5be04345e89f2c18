"""How a server of MCP is told by its first bytes, where nobody has named what it speaks: by its answer to `initialize`.

It is looked for over HTTP only: over a socket nobody serves it, and a child is always named.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from rpcshell.client.dialects.recognition import HTTP, Guess, Recognition
from rpcshell.version import __version__

HANDSHAKE: Final = "2025-11-25"
"""The last version of the era that begins with `initialize`."""

CLIENT: Final = {"name": "rpcshell", "version": __version__}

_INITIALIZE: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": CLIENT},
}
_INTRODUCED: Final = re.compile(rb'"(?:protocolVersion|supportedVersions|io\.modelcontextprotocol/[a-zA-Z]+)"\s*:')

_ENDPOINT: Final = re.compile(rb"^event: ?endpoint\r?$", re.MULTILINE)

GUESSES: Final = (
    Guess(msgspec.json.encode(_INITIALIZE), "MCP over HTTP", rank=10, refines=HTTP),
    # Nothing to post: the stream of events is asked for.
    Guess(b"", "MCP's stream of events, as it was in 2024", rank=20, refines=HTTP),
)


def recognises(first: bytes, guess: Guess) -> Recognition | None:
    """What a response of HTTP tells: only MCP names its version so, or where to post to."""
    told = guess.refines == HTTP and (_INTRODUCED.search(first) or (not guess.said and _ENDPOINT.search(first)))
    return Recognition("mcp") if told else None
