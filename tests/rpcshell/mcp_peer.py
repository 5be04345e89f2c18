"""An MCP server of one conversation with the standard library alone, of either era, that does what few servers do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.rpcshell.peers import Peer

Respond = Callable[[Any, dict[str, Any]], Iterator[dict[str, Any]]]
"""Says what a server says to a request, of which it has the id and the params."""


def interrupted(_part: Any) -> None:
    """What Ctrl-C does to a call once something has come of it."""
    raise KeyboardInterrupt


TOOLS = [{"name": f"tool{number}", "inputSchema": {"type": "object"}} for number in range(5)]
REFUSAL = {"code": -32022, "message": "no handshake here", "data": {"supported": ["2026-07-28"]}}


class McpPeer:
    """Serves connections.

    `modern` is the era without a handshake. What was received is in `received`, what it asked for in `answers`.
    """

    def __init__(self, replies: Mapping[str, Respond] | None = None, *, modern: bool = False) -> None:
        self.modern = modern
        self.replies = replies or {}
        self.received: list[dict[str, Any]] = []
        self.answers: list[Any] = []

    def __call__(self, peer: Peer) -> None:
        def send(**message: Any) -> None:
            peer.sock.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

        for line in peer.sock.makefile("rb"):
            message = json.loads(line)
            self.received.append(message)
            if "method" not in message:
                self.answers.append(message.get("result", message.get("error")))
                continue
            for said in self.said(message.get("id"), message["method"], message.get("params") or {}):
                send(**said)

    def said(self, id: Any, method: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if method in self.replies:
            yield from self.replies[method](id, params)
            return
        match method:
            case "initialize" if self.modern:
                yield {"id": None, "error": REFUSAL}
            case "initialize":
                info = {"name": "peer", "version": "1"}
                offers: dict[str, Any] = {"tools": {}, "completions": {}}
                yield {
                    "id": id,
                    "result": {"protocolVersion": "2025-06-18", "capabilities": offers, "serverInfo": info},
                }
            case "server/discover" if self.modern:
                meta = {"io.modelcontextprotocol/serverInfo": {"name": "peer", "version": "2"}}
                yield {"id": id, "result": {"capabilities": {"tools": {}}, "_meta": meta}}
            case "tools/list":
                start = int(params.get("cursor", 0))
                more = {"nextCursor": str(start + 2)} if start + 2 < len(TOOLS) else {}
                yield {"id": id, "result": {"tools": TOOLS[start : start + 2], **more}}
            case "tools/call":
                yield {"id": id, "result": {"content": [], "structuredContent": params}}
            case _ if id is not None:
                yield {"id": id, "error": {"code": -32601, "message": "Method not found"}}
