"""DAP with debugpy (the extra `peers`): its adapter as a child, and in a program that waits on a port."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rpcshell import CallError, Client, connect
from rpcshell.line.catalog import Catalog
from tests.rpcshell.content_length_peer import connect_once_it_listens
from tests.rpcshell.peers import free_port
from tests.servers import PATIENCE

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(importlib.util.find_spec("debugpy") is None, reason="the extra `peers` is not installed"),
]

ADAPTER = f"dap:exec:{shlex.quote(sys.executable)} -m debugpy.adapter"
PROGRAM = """total = 0
for number in range(5):
    total += number
print(total)
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.py").write_text(PROGRAM)
    return tmp_path / "sums.py"


def wait_for(client: Client, name: str, wanted: Callable[[Any], bool] = lambda params: True) -> Any:
    return next(e.params for e in client.events(timeout=PATIENCE) if e.name == name and wanted(e.params))


def stop_at(client: Client, source: Path) -> None:
    where = {"source": {"path": str(source)}, "breakpoints": [{"line": 3, "condition": "number == 3"}]}
    client.call("setBreakpoints", where)


def look_around(client: Client) -> int:
    """Look at the program where it has stopped; the thread that has."""
    thread: int = wait_for(client, "stopped")["threadId"]
    assert client.complete("stackTrace", "threadId", "", {}) == [str(thread)]
    (frame,) = client.call("stackTrace", {"threadId": thread, "levels": 1})["stackFrames"]
    assert frame["line"] == 3
    assert client.call("evaluate", {"expression": "total", "frameId": frame["id"]})["result"] == "3"
    with pytest.raises(CallError, match="ZeroDivisionError"):
        client.call("evaluate", {"expression": "1 / 0", "frameId": frame["id"], "context": "repl"})
    with pytest.raises(CallError, match="nope"):
        client.call("nope")
    return thread


def test_a_program_is_launched_stopped_looked_at_and_ended(source: Path) -> None:
    with connect(ADAPTER, connect_timeout=PATIENCE) as client:
        offered = Catalog.from_openrpc(client.describe().document)
        assert {"launch", "setVariable", "exceptionInfo"} <= offered.methods.keys()
        assert not {"stepBack", "disassemble"} & offered.methods.keys()
        stop_at(client, source)
        client.call("launch", {"program": str(source), "console": "internalConsole", "python": [sys.executable]})
        assert wait_for(client, "setBreakpoints")["breakpoints"][0]["verified"]
        client.call("continue", {"threadId": look_around(client)})
        assert "10" in wait_for(client, "output", lambda said: said.get("category") == "stdout")["output"]
        wait_for(client, "terminated")


@pytest.mark.thorough
def test_a_program_that_waits_on_a_port_is_attached_to(source: Path) -> None:
    port = free_port(held=False)
    listening = [sys.executable, "-m", "debugpy", "--listen", f"127.0.0.1:{port}", "--wait-for-client", str(source)]
    with subprocess.Popen(listening, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            with connect_once_it_listens(f"dap:127.0.0.1:{port}", process) as client:
                stop_at(client, source)
                client.call("attach", {})
                look_around(client)
            # Whoever leaves it lets it go on.
            assert process.stdout is not None
            assert process.stdout.read() == "10\n"
        finally:
            process.kill()
