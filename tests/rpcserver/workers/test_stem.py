"""What a stem makes of apps that do as they please with its process while they are imported."""

from __future__ import annotations

from pathlib import Path

from tests.servers import PROBE_APP, running

CHILDREN_IGNORED = """
import signal, threading
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


def test_an_app_may_ignore_what_becomes_of_its_children(tmp_path: Path) -> None:
    with running("-w", "2", "--preload", folder=tmp_path, app=PROBE_APP + CHILDREN_IGNORED) as server:
        with server.connect() as client:
            assert client.call("echo", [1]).result == [1]
        assert "the app has started a thread" in server.log()
        assert "cannot be started" not in server.log()
