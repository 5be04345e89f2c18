"""A child as a transport: that it ends, whatever happens while it is started."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
from typing import Any

import pytest

from rpcshell import ConnectionLost, connect, connect_async
from rpcshell.client import child
from rpcshell.client.child import ChildStream
from rpcshell.client.target import ChildTarget


def test_ctrl_c_in_the_moment_of_its_start_leaves_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)
            if len(started) == 1:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    monkeypatch.setattr(child, "_GRACE", 0.05)
    with pytest.raises(KeyboardInterrupt):
        ChildStream(ChildTarget(("sleep", "1000")), lambda _line: None)
    try:
        assert started[0].poll() is not None
    finally:
        started[0].kill()


def test_a_child_that_stays_is_asked_once_and_then_made_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_GRACE", 0.05)
    stream = ChildStream(ChildTarget(("sh", "-c", "trap '' TERM; echo; exec sleep 1000")), lambda _line: None)
    select.select([stream], [], [])
    sent: list[int] = []
    killpg = os.killpg

    def told(group: int, number: int) -> None:
        sent.append(number)
        killpg(group, number)

    monkeypatch.setattr(os, "killpg", told)
    stream.close()
    # The last is for what it may have started.
    assert sent == [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]


ONE_SIDED = {
    "the child has closed its standard output, and goes on": "read -r line; exec 1>&-; exec sleep 1000",
    "the child has closed its standard input, and does not take what is sent": "exec 0<&-; exec sleep 1000",
    "the child ended with exit status 3": "sleep 1000 & exit 3",
}


@pytest.mark.parametrize("says", ONE_SIDED)
def test_a_child_that_closes_one_end_or_leaves_both_to_another_is_not_waited_for(
    says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_GRACE", 0.05)
    monkeypatch.setattr(child, "_HELD", 0.05)
    target = ChildTarget(("sh", "-c", ONE_SIDED[says]), dialect="jsonrpc+line")
    with connect(target, timeout=None) as client, pytest.raises(ConnectionLost, match=says):
        client.call("echo", 1)

    async def call() -> None:
        async with connect_async(target, timeout=None) as client:
            with pytest.raises(ConnectionLost, match=says):
                await client.call("echo", 1)

    asyncio.run(call())


@pytest.mark.parametrize(
    ("said", "telling"),
    [
        (
            ["Traceback (most recent call last):", "KeyError: 1", "", "During", "a.b.NoError: no", "  "],
            "a.b.NoError: no",
        ),
        (["Error [ERR_X]: no such path", "    at x (y:1)", "Node.js v20"], "Error [ERR_X]: no such path"),
        (
            ["npm error code E404", "npm error 404 Not Found - GET x", "npm error A log is"],
            "npm error 404 Not Found - GET x",
        ),
        (
            ['Exception in thread "main" java.io.IOException: x', "\tat y"],
            'Exception in thread "main" java.io.IOException: x',
        ),
        (["panic: x", "", "goroutine 1 [running]:"], "panic: x"),
        (["errors are none", "usage: x"], "usage: x"),
        ([], ""),
    ],
)
def test_what_an_ended_child_said_is_told_by_the_line_that_tells_most(said: list[str], telling: str) -> None:
    assert child._most_telling(said) == telling


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no real-time signals")
def test_a_child_that_dies_of_a_signal_without_a_name_is_said_to() -> None:
    number = signal.SIGRTMIN + 3
    stream = ChildStream(ChildTarget(("sh", "-c", f"kill -{number} $$")), lambda _line: None)
    try:
        assert f"signal {number}" in str(stream.why_ended())
    finally:
        stream.close()
