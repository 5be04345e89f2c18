"""Servers that do their clients harm by what they never say, or say without end: over HTTP and as QEMU's monitor."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.rpcshell.http_peer import SayingHandler
from tests.rpcshell.peers import Peer, serving

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HOSTILE", "NEVER", "UNANSWERED", "hostile"]

EVENT = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x"}}
REQUEST = {"jsonrpc": "2.0", "id": "r", "method": "roots/list"}
TICK = {"event": "TICK", "data": {"n": 1}, "timestamp": {"seconds": 1, "microseconds": 2}}
GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 1}}, "capabilities": []}}


def forever(write: Callable[[bytes], object], data: bytes) -> None:
    """Write until nobody reads."""
    with contextlib.suppress(OSError):
        while True:
            write(data * 100)


def monitor(peer: Peer, *, greets: bool = True, says: object = TICK) -> None:
    """A monitor that says something without end, once it was called or without ever greeting."""
    flood = json.dumps(says).encode() + b"\n"
    if not greets:
        forever(peer.sock.sendall, flood)
        return
    peer.sock.sendall(json.dumps(GREETING).encode())
    for line in peer.sock.makefile("rb"):
        asked = json.loads(line)
        if asked["execute"] in ("qmp_capabilities", "query-qmp-schema"):
            result: Any = [] if asked["execute"] == "query-qmp-schema" else {}
            peer.sock.sendall(json.dumps({"return": result, "id": asked["id"]}).encode())
        else:
            forever(peer.sock.sendall, flood)
            return


def long_line(peer: Peer) -> None:
    """Says a line that is as long as a server may think of, and nothing more."""
    peer.sock.sendall(b'{"jsonrpc":"2.0","method":"x","params":"' + b"x" * 40_000_000 + b'"}\n')
    peer.wait_for_end()


@contextmanager
def over_http(said: dict[str, Any] | None) -> Iterator[str]:
    """An MCP server that says something without end on its stream of events and answers no call, or says nothing."""
    over = threading.Event()

    class Handler(SayingHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name for it
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            forever(self.wfile.write, b"data: " + json.dumps(said).encode() + b"\n\n")
            self.close_connection = True

        def do_POST(self) -> None:  # noqa: N802 - http.server's name for it
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if said is not None and asked.get("method") == "initialize":
                result = {"protocolVersion": "2025-06-18", "capabilities": {}}
                self.say(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode())
            elif (said is not None and "id" not in asked) or "method" not in asked:
                self.say(b"", status=202)
            else:
                over.wait()
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Whoever is called by it has left."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"mcp:http://127.0.0.1:{server.server_port}/"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


NEVER = "cannot connect to {target}: it did not greet within"
UNANSWERED = "x: no reply within"

HOSTILE = {
    "HTTP that never answers": NEVER,
    "events without end over HTTP": UNANSWERED,
    "requests without end over HTTP": UNANSWERED,
    "a monitor that never greets": NEVER,
    # It does not greet, or did not within its time where the machine is busy.
    "events without end before a monitor greets": "cannot connect to {target}: it d",
    "events without end of a monitor": UNANSWERED,
    "replies without end that nobody waits for": UNANSWERED,
    "a line without measure": NEVER,
}
"""What a single call says of each server; `{target}` is its own."""


@contextmanager
def hostile(kind: str) -> Iterator[str]:
    """One of them; its target."""
    said = {"HTTP that never answers": None, "events without end over HTTP": EVENT}.get(kind, REQUEST)
    if "HTTP" in kind:
        with over_http(said) as target:
            yield target
        return
    dialect = "mcp" if kind == "a line without measure" else "qmp"
    handlers: dict[str, Callable[[Peer], None]] = {
        "a monitor that never greets": Peer.wait_for_end,
        "events without end before a monitor greets": lambda peer: monitor(peer, greets=False),
        "events without end of a monitor": monitor,
        "replies without end that nobody waits for": lambda peer: monitor(peer, says={"return": 1, "id": 0}),
        "a line without measure": long_line,
    }
    with serving(handlers[kind]) as server:
        yield f"{dialect}:{server.target}"
