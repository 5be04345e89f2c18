"""A server that breaks every rule it can: one clear line each time, and the shell lives."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import ENTER, SHELL, Terminal
from tests.rpcshell.describing import document
from tests.rpcshell.peers import Peer, serving

pytestmark = pytest.mark.thorough

EVIL = "\x1b[2J\x1b]0;title\x07\x9b31m\x7f\u202egnp\u2066"
FORBIDDEN = ("\x1b[2J\x1b]", "\x1b]0;", "\x9b", "\x7f", "\u202e", "\u2066")
NEVER = b""


def framed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def reply(**keys: object) -> bytes:
    return framed(json.dumps(keys).encode())


META = {"worker": 1, "pid": 2, "generation": 0, "model": EVIL, "service_us": 1, "served": 1}
ANSWERS = {
    "closes": (b"", "lost the connection to .*: the server closed it without a reply; the request may have run"),
    "prefix": (b"\x10\x00", "inside the reply, .* may have run"),
    "half": (b"\x10\x00\x00\x00{", "inside the reply, .* may have run"),
    "huge": (b"\xff\xff\xff\xff", "announced a reply of 4294967295 bytes and the limit is"),
    "empty": (framed(b""), "does not answer as an RPC server"),
    "text": (framed(b"\x1b[2Jhello"), r"does not answer as an RPC server: .*\\x1b\[2Jhello"),
    "utf8": (framed(b'{"out":"a","result":"\xff"}'), "does not answer as an RPC server: .*UTF-8"),
    "nan": (framed(b'{"out":"a","result":NaN}'), "does not answer as an RPC server"),
    "deep": (framed(b'{"out":"a","result":' + b"[" * 200_000), "does not answer as an RPC server"),
    "list": (framed(b"[1]"), "does not answer as an RPC server"),
    "noout": (reply(result=1), "required field `out`"),
    "id": (reply(out="a", result=1, id=EVIL), "belongs to another request"),
    "http": (b"HTTP/1.1 400 \x1b[2J\r\n\r\n", r"is an HTTP server, not an RPC server: .*\\x1b\[2J"),
    "faultless": (reply(out="error", result={"code": EVIL, "message": [EVIL]}), r"^error -32000: .*u001b\[2J.*\n\{.*"),
    "code": (reply(out="error", result={"code": 10**30, "message": EVIL}), r"^error .*x1b\[2J"),
}


def misbehave(peer: Peer) -> None:
    """Answer each method as the table has it, and close the connection."""
    while (request := peer.read()) is not None:
        match request["in"]:
            case "rpc.discover":
                peer.send({"out": "openrpc", "result": document("ping", *ANSWERS)})
            case "ping":
                peer.send({"out": "pong", "result": 1})
            case "meta":
                peer.send({"out": "pong", "result": EVIL, "meta": META})
            case "twice":
                peer.sock.sendall(reply(out="pong", result=2) + reply(out=EVIL, result=3))
            case "goodbye":
                peer.sock.sendall(framed(b'{"close":true}'))
                return
            case "never":
                peer.wait_for_end()
                return
            case name:
                peer.sock.sendall(ANSWERS[name][0])
                return


def test_every_bad_answer_is_one_line_and_the_next_call_works(tmp_path: Path) -> None:
    with (
        serving(misbehave) as server,
        Terminal(tmp_path, (*SHELL, "--set", "suggestions=off", str(server.target)), rows=24, columns=200) as terminal,
    ):
        prompt = rf"{re.escape(str(server.target))}(?: \(lost\))?> "
        terminal.wait_for(f"^{prompt}")
        for name, (_, says) in ANSWERS.items():
            terminal.mark()
            terminal.send(f"{name} 0{ENTER}")
            terminal.wait_for(rf"{prompt}{name} 0\n(?:error.*)?{says.removeprefix('^error')}.*\n(?:.*\n)?{prompt}")
            terminal.send(f"ping 0{ENTER}")
            terminal.wait_for(rf"{prompt}ping 0\npong 1\n(?:.*\n)?{prompt}")
        terminal.send(f"goodbye 0{ENTER}")
        terminal.wait_for(r"lost the connection to .*: the server is closing it; the request did not run$")
        terminal.send(f"meta 0{ENTER}twice 0{ENTER}ping 0{ENTER}")
        terminal.wait_for(rf"(?s)pong \"\\u001b\[2J.*pong 2\n.*ping 0\npong 1\n.*{prompt}$")
        terminal.send(f":set timeout 0.2{ENTER}never 0{ENTER}")
        terminal.wait_for(r"^error: never: no reply within 0\.2 s; the server may still be running it$")
        assert leave(terminal) == 0
    received = terminal.raw.decode()
    assert not [text for text in FORBIDDEN if text in received]
