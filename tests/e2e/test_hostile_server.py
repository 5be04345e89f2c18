import json
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.terminal import ENTER, SHELL, TAB, Terminal

EVIL = "\x1b[2J\x1b]0;title\x07\x9b31m\x7f\u202egnp\u2066\u200b"
SHOWN = re.escape(r"\u001b[2J\u001b]0;title\u0007\u009b31m\u007f\u202egnp\u2066\u200b")
DOCUMENT = {
    "openrpc": "1.3.2",
    "info": {"title": EVIL, "version": "1"},
    "methods": [
        {"name": "evil", "summary": f"sum{EVIL}mary", "params": [], "result": {"name": "r", "schema": {}}},
        {
            "name": f"evil{EVIL}",
            "summary": "evil by name",
            "description": f"one\ntwo{EVIL}",
            "params": [{"name": f"p{EVIL}", "schema": {"type": f"t{EVIL}"}}],
            "result": {"name": "r", "schema": {"$ref": f"#/components/schemas/{EVIL}"}},
        },
    ],
}
REPLIES = {
    "rpc.discover": {"out": "openrpc", "result": DOCUMENT},
    "evil": {"out": f"out{EVIL}", "result": {f"key{EVIL}": [f"value{EVIL}"]}},
    "error": {"out": "error", "result": {"code": 7, "message": f"bad{EVIL}", "data": {"path": EVIL, "x": EVIL}}},
}


def serve(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as stream:
        while prefix := stream.read(4):
            request = json.loads(stream.read(struct.unpack("<I", prefix)[0]))
            body = json.dumps(REPLIES.get(request["in"], REPLIES["error"])).encode()
            connection.sendall(struct.pack("<I", len(body)) + body)


@contextmanager
def hostile_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(30)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with hostile_server() as address, Terminal(tmp_path, (*SHELL, address), rows=40, columns=160) as terminal:
        terminal.wait_for(rf"^{re.escape(address)}> ")
        yield terminal


def assert_harmless(terminal: Terminal) -> None:
    """No byte of the server's has reached the terminal as anything but readable text."""
    received = terminal.raw.decode()
    for forbidden in ("\x1b[2J\x1b]", "\x1b]0;", "\x9b", "\x7f", "\u202e", "\u2066", "\u200b"):
        assert forbidden not in received


def test_a_reply_is_shown_escaped(terminal: Terminal) -> None:
    terminal.send(f"evil{ENTER}")
    terminal.wait_for(rf'"key{SHOWN}"')
    terminal.wait_for(rf'"value{SHOWN}"')
    terminal.wait_for(r"^out\\x1b\[2J")
    assert_harmless(terminal)


def test_an_error_is_shown_escaped(terminal: Terminal) -> None:
    terminal.send(f"whatever{ENTER}")
    terminal.wait_for(r"^error 7: bad\\x1b\[2J")
    terminal.wait_for(rf'"x": "{SHOWN}"')
    assert_harmless(terminal)


def test_names_and_summaries_are_shown_escaped(terminal: Terminal) -> None:
    terminal.send(f":methods{ENTER}")
    terminal.wait_for(r"^  evil +sum\\x1b\[2J")
    terminal.wait_for(r"^  evil\\x1b\[2J")
    terminal.send("evil")
    terminal.wait_for(r"sum\\x1b\[2J.*mary\s*$")
    assert_harmless(terminal)


def test_documentation_is_shown_escaped(terminal: Terminal) -> None:
    terminal.send(":doc evi" + TAB)
    terminal.wait_for(r"evil by name")
    terminal.send(TAB + TAB + ENTER + ENTER)
    terminal.wait_for(r"^one two\\x1b\[2J")
    assert_harmless(terminal)


def test_a_name_that_was_completed_is_harmless_in_the_line_and_the_toolbar(terminal: Terminal) -> None:
    terminal.send("evi")
    terminal.wait_for(r"evil by name")
    terminal.send(TAB + TAB + " ")
    terminal.wait_for(r'> "evil\\u001b\[2J')
    assert_harmless(terminal)
