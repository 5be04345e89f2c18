"""A JSON-RPC server with the standard library alone, for every framing; as a program it serves its standard streams.

It does what servers do to clients: tells events before a reply, asks for something itself with an id that the client
uses too, answers out of order, prints where it should not, and never answers.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

Read = Callable[[], bytes]
"""Returns what one read brought; nothing at the end."""

DOCUMENT = {
    "openrpc": "1.3.2",
    "info": {"title": "peer", "version": "1"},
    "methods": [{"name": "add", "params": [{"name": "a", "schema": {"type": "integer"}}]}],
}


def put_into(framing: str, body: bytes) -> bytes:
    match framing:
        case "line":
            return body + b"\r\n"
        case "nul":
            return body + b"\0"
        case "u32le":
            return struct.pack("<I", len(body)) + body
        case "u32be":
            return struct.pack(">I", len(body)) + body
        case "content-length":
            return b"Content-Type: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    return body


def taken_from(framing: str, read: Read) -> Iterator[Any]:
    """The messages of a stream."""
    rest = b""
    while data := read():
        rest += data
        while (found := first_of(framing, rest)) is not None:
            body, rest = found
            yield json.loads(body)


def first_of(framing: str, data: bytes) -> tuple[bytes, bytes] | None:
    """The first body in some bytes and what follows it."""
    if framing in ("line", "nul"):
        body, ends, rest = data.partition(b"\n" if framing == "line" else b"\0")
        return (body, rest) if ends else None
    if framing in ("u32le", "u32be"):
        if len(data) < 4:
            return None
        (length,) = struct.unpack_from("<I" if framing == "u32le" else ">I", data)
        return (data[4 : 4 + length], data[4 + length :]) if len(data) >= 4 + length else None
    if framing == "content-length":
        head, ends, rest = data.partition(b"\r\n\r\n")
        # A head that is not whole is no head yet.
        length = int(head.removeprefix(b"Content-Length: ")) if ends else 0
        return (rest[:length], rest[length:]) if ends and len(rest) >= length else None
    try:
        text = data.decode().lstrip()
        _, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    return text[:end].encode(), text[end:].encode()


class Peer:
    """One conversation."""

    def __init__(self, send: Callable[[Any], None], *, version: str = "2.0", prints: Callable[[str], None] = print):
        self._send = send
        self._version = version
        self._print = prints
        self._asked: dict[int, Any] = {}
        self._kept: list[Any] = []
        self.received: list[Any] = []

    def reply(self, id: Any, **outcome: Any) -> None:
        if self._version == "1.0":
            self._send({"result": None, "error": None, **outcome, "id": id})
        else:
            self._send({"jsonrpc": "2.0", "id": id, **outcome})

    def take(self, message: Any) -> None:
        self.received.append(message)
        if "method" not in message:
            self.reply(self._asked.pop(message["id"]), result=message.get("result", message.get("error")))
            return
        id, params = message.get("id"), message.get("params")
        match message["method"]:
            case "add":
                self.reply(id, result=sum(params))
            case "echo":
                self.reply(id, result=params)
            case "has_params":
                self.reply(id, result="params" in message)
            case "tell":
                for number in range(params[0]):
                    self._send({"jsonrpc": "2.0", "method": "told", "params": {"number": number}})
                self.reply(id, result=None)
            case "ask":
                # The number that the client's first call has.
                self._asked[1] = id
                self._send({"jsonrpc": "2.0", "id": 1, "method": params[0], "params": params[1:]})
            case "keep":
                self._kept.append(id)
            case "release":
                for kept in (id, *reversed(self._kept)):
                    self.reply(kept, result=kept)
            case "batch":
                self._send([{"jsonrpc": "2.0", "method": "told"}, {"jsonrpc": "2.0", "id": id, "result": "batched"}])
            case "unreadable":
                self.reply(None, error={"code": -32700, "message": "Parse error"})
            case "anonymous":
                self._send({"jsonrpc": "2.0", "result": "whose?"})
                self.reply(id, result=None)
            case "print":
                self._print(params[0])
                self.reply(id, result=None)
            case "end":
                raise SystemExit(params[0] if params else 0)
            case "silence":
                pass
            case "$/cancelRequest":
                self.reply(params["id"], error={"code": -32800, "message": "cancelled"})
            case "received":
                self.reply(id, result=[m["method"] for m in self.received if "method" in m])
            case "refuse":
                self.reply(id, error={"code": -32603, "message": "not today"})
            case "rpc.discover" if self._version == "2.0":
                self.reply(id, result=DOCUMENT)
            case "system.listMethods" if self._version == "1.0":
                self.reply(id, result=["add", "echo"])
            case method:
                self.reply(id, error={"code": -32601, "message": "Method not found", "data": method})


def serve(framing: str, read: Read, write: Callable[[bytes], object], **options: Any) -> None:
    """Serve a stream until its end."""

    def send(message: Any) -> None:
        write(put_into(framing, json.dumps(message).encode()))

    peer = Peer(send, **options)
    for message in taken_from(framing, read):
        peer.take(message)


def main() -> None:
    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def stray(text: str) -> None:
        write(text.encode() + b"\n")
        print(text, file=sys.stderr, flush=True)

    serve(sys.argv[1], lambda: os.read(0, 65536), write, prints=stray)


if __name__ == "__main__":
    main()
