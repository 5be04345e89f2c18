"""What a stem makes of apps that do as they please with its process while they are imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import PROBE_APP, launched, running

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


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["worker", "stem"])
def test_a_process_that_the_app_forks_is_no_second_one_of_the_servers(options: list[str], tmp_path: Path) -> None:
    app = f"{PROBE_APP}\nif (child := os.fork()):\n    os.waitpid(child, 0)\n"
    with running("-w", "1", *options, folder=tmp_path, app=app) as server:
        with server.connect() as client:
            assert client.call("echo", [1]).result == [1]
        assert "have it end by os._exit" in server.log()
        assert len(server.workers()) == 1 + len(options)


def test_an_app_that_closes_the_stems_descriptors_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("import os\nos.closerange(3, 256)\n" + PROBE_APP)
    with launched("-w", "1", "--preload", "--bind", "127.0.0.1:0", "probe.py", cwd=tmp_path) as server:
        assert server.wait() == 3
        assert "the app has closed descriptors of the server" in server.log()
        assert "Traceback" not in server.log()
