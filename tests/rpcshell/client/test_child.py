"""A child as a transport: that it ends, whatever happens while it is started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from typing import Any

import pytest

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
    monkeypatch.setattr(os, "killpg", lambda group, number: (sent.append(number), killpg(group, number)))
    stream.close()
    # The last is for what it may have started.
    assert sent == [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]
