"""Apps that change what Python's sockets are, which the server's are made by as well."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.models import of_each_kind, preloaded_too
from tests.servers import PROBE_APP, gates, running

FORKED = """
@service.method
def forked() -> int:
    if (pid := os.fork()) == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1]
"""
TIMEOUT = f"{PROBE_APP}{FORKED}\nsocket.setdefaulttimeout(0.001)\n"
# As libraries for proxies do, and those that keep tests off the network. A loop cannot do without.
REPLACED = f"""{PROBE_APP}{FORKED}
class Blocked(socket.socket):
    def __init__(self, *_: object, **__: object) -> None:
        raise RuntimeError("no sockets here")

socket.socket = Blocked
"""
# Python 3.12 warns of forks beside threads.
QUIET = {"PYTHONWARNINGS": "ignore"}


@pytest.mark.samples(3)
@pytest.mark.parametrize("app", [TIMEOUT, REPLACED], ids=["timeout", "replaced"])
@preloaded_too
@of_each_kind
def test_an_app_that_changes_what_sockets_are_is_served_as_any(
    model: str, preload: tuple[str, ...], app: str, tmp_path: Path
) -> None:
    if model == "async" and app == REPLACED:
        pytest.skip("the loop makes sockets itself")
    entered, leave = gates(tmp_path)
    options = ("-m", model, "-w", "1", "--drain-grace", "0.2", *preload)
    with running(*options, app=app, env=QUIET, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("echo", "x" * 1_000_000).result == "x" * 1_000_000
            assert client.call("forked").result == 0
            client.send("gate", [str(entered), str(leave)])
            entered.read_bytes()
            with server.connect() as waiting:
                server.signal(signal.SIGTERM)
                server.wait_for_log("stopping")
                waiting.send("echo", 1)
                leave.write_bytes(b".")
                assert client.reply().result == "through"
                client.close()
                assert waiting.reply().result == 1
        assert server.wait() == 0
        assert "no sockets here" not in server.log()
