"""Where a process listens, as proc(5) tells: this process's own sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from rpcshell.client.target import Target
from rpcshell.servers.listeners import process_listens_at
from tests.servers import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells where a process listens")


@contextmanager
def listening(name: str) -> Iterator[None]:
    """A Unix socket of this process."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        yield


def listens_here(target: str) -> bool | None:
    return process_listens_at(os.getpid(), Target.parse(target))


@pytest.mark.parametrize(
    ("host", "target", "there"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "tls://127.0.0.1", True),
        ("0.0.0.0", "127.0.0.2", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "192.0.2.1", False),
    ],
)
def test_a_process_listens_at_a_port_of_one_address_or_of_all(host: str, target: str, there: bool) -> None:
    with socket.create_server((host, 0)) as listener:
        assert listens_here(f"{target}:{listener.getsockname()[1]}") is there


def test_a_process_that_holds_no_such_port_needs_no_name_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **_more: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert listens_here(f"example.org:{port}") is False


def test_a_process_listens_at_a_file_however_that_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link.sock").symlink_to("calc.sock")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with listening("calc.sock"):
        assert listens_here("unix:calc.sock") is True
        assert listens_here(f"unix:{tmp_path}/link.sock") is True
        assert listens_here(f"unix:{tmp_path}/other.sock") is False
        # Its name alone does not tell in which folder it is; that nobody answers there neither.
        assert listens_here("unix:elsewhere/calc.sock") is None


def test_a_process_listens_at_an_abstract_name() -> None:
    with listening(f"\0caf\udce9-{os.getpid()}"):
        assert listens_here(f"unix:@caf\\udce9-{os.getpid()}") is True
        assert listens_here(f"unix:@caf-{os.getpid()}") is False


def test_of_a_process_that_has_gone_nothing_is_told() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait(PATIENCE)
    assert process_listens_at(gone.pid, Target.parse("127.0.0.1:1")) is None
