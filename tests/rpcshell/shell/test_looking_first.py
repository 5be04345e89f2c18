"""A debug adapter at a port, which listens no more after a word that it does not know: it is heard first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell.client.target import TcpTarget
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.session import Session

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who listens")

ADAPTER = """
import json, socket

def frame(message):
    body = json.dumps(message).encode()
    return b"Content-Length: %d\\r\\n\\r\\n%b" % (len(body), body)

def heard():
    length = words.readline()
    words.readline()
    return json.loads(words.read(int(length.partition(b":")[2]))) if length else None

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    client = listener.accept()[0]
    client.settimeout(0.05)
    try:
        if not client.recv(1, socket.MSG_PEEK).startswith(b"C"):
            break
    except TimeoutError:
        pass
    client.settimeout(None)
    words = client.makefile("rb")
    client.sendall(frame({"seq": 1, "type": "event", "event": "output", "body": {"output": "hello"}}))
    while (asked := heard()) is not None:
        answer = {"seq": 2, "type": "response", "request_seq": asked["seq"], "success": True}
        client.sendall(frame({**answer, "command": asked["command"], "body": asked.get("arguments", {})}))
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[TcpTarget]:
    script = tmp_path / "debugpy" / "adapter"
    script.parent.mkdir()
    script.write_text(ADAPTER)
    with subprocess.Popen([sys.executable, "-IS", str(script)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield TcpTarget("127.0.0.1", int(process.stdout.readline()))
        finally:
            process.kill()


def test_an_adapter_is_told_by_its_process_and_heard_first(address: TcpTarget, memory: TargetMemory) -> None:
    for _ in range(2):
        session = Session(memory=lambda: memory, background=False)
        try:
            session.connect(address)
            assert session.call("evaluate", {"expression": "1"}).result == {"expression": "1"}
            assert session.target is not None
            assert session.target.dialect == "dap"
        finally:
            session.close()
