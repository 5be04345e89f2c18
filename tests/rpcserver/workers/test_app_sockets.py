"""Apps that change what Python's sockets are, which the server's are made by as well, or that shut these down."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.models import of_each_kind_and, preloaded_too, some
from tests.rpcserver.steering import Gate
from tests.servers import PROBE_APP, running

FORKED = """
@service.method
def forked() -> int:
    if (pid := os.fork()) == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1]
"""
TIMEOUT = f"{PROBE_APP}{FORKED}\nsocket.setdefaulttimeout(0.001)\n"
# As libraries for proxies do, and those that keep tests off the network.
REPLACED = f"""{PROBE_APP}{FORKED}
class Blocked(socket.socket):
    def __init__(self, *_: object, **__: object) -> None:
        raise RuntimeError("no sockets here")

socket.socket = Blocked
"""
# Python 3.12 warns of forks beside threads.
QUIET = {"PYTHONWARNINGS": "ignore"}


@pytest.mark.samples(3)
@preloaded_too
# A loop makes sockets itself.
@of_each_kind_and("app", {"timeout": TIMEOUT, "replaced": REPLACED}, but=("async", "replaced"))
def test_an_app_that_changes_what_sockets_are_is_served_as_any(
    model: str, preload: tuple[str, ...], app: str, tmp_path: Path, gate: Gate
) -> None:
    options = ("-m", model, "-w", "1", "--drain-timeout", "60", "--drain-grace", "15", *preload)
    with running(*options, app=app, env=QUIET, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("echo", "x" * 1_000_000).result == "x" * 1_000_000
            assert client.call("forked").result == 0
            gate.hold(client)
            with server.connect() as waiting:
                server.signal(signal.SIGTERM)
                server.wait_for_log("stopping")
                waiting.send("echo", 1)
                gate.release(client)
                client.close()
                assert waiting.reply().result == 1
        assert server.wait() == 0
        assert "no sockets here" not in server.log()


SHUTS_ALL_DOWN = f"""{PROBE_APP}
@service.method
def shut_down() -> None:
    "Do what some libraries do that clean up: end all sockets that are open in this process."
    for name in os.listdir("/proc/self/fd"):
        try:
            listening = socket.socket(fileno=int(name))
        except OSError:
            continue
        if listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listening.shutdown(socket.SHUT_RDWR)
        listening.detach()
"""


# The children in which handlers run hold no listener in the fork model.
@pytest.mark.parametrize("model", some("sync", "async", but="fork"))
def test_a_listener_that_an_app_shuts_down_listens_again(model: str, tmp_path: Path) -> None:
    with running("-m", model, "-w", "2", app=SHUTS_ALL_DOWN, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("shut_down").fault is None
        server.wait_for_log(f"{server.addresses[0]} was shut down")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.log().count("listens again") == 1


def test_a_server_ends_whose_unix_socket_an_app_shuts_down(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with running("-w", "2", app=SHUTS_ALL_DOWN, folder=tmp_path, bind=(f"unix:{path}",)) as server:
        with server.connect() as client:
            assert client.call("shut_down").fault is None
        assert server.wait() == 1
        assert "s was shut down (shutdown(2)) by the app or a library of it and cannot listen again" in server.log()
        assert not path.exists()


CLOSES_WHAT_IT_WAITS_ON = f"""{PROBE_APP}
import contextlib

@service.method
def close() -> None:
    for descriptor in range(3, 256):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{{descriptor}}") == "anon_inode:[eventpoll]":
                os.close(descriptor)
"""


def test_a_process_that_finds_a_descriptor_closed_may_be_at_fault_itself_and_the_log_says_where(tmp_path: Path) -> None:
    with running("-w", "2", app=CLOSES_WHAT_IT_WAITS_ON, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("close").fault is None
        server.wait_for_log("perhaps the app has closed a descriptor that is not its own")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        assert "Traceback" in server.log()


@pytest.mark.parametrize("model", ["sync", pytest.param("fork", marks=pytest.mark.thorough)])
def test_a_process_whose_descriptors_the_app_closes_ends_and_the_log_says_why(model: str, tmp_path: Path) -> None:
    app = f"{PROBE_APP}\n@service.method\ndef close() -> None:\n    os.closerange(3, 256)\n"
    with running("-m", model, "-w", "2", app=app, folder=tmp_path) as server:
        with server.connect() as client:
            client.send("close")
            server.wait_for_log("this process ends: the app has closed a descriptor that is not its own")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        assert "Traceback" not in server.log()
