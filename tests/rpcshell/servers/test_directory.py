"""Which servers there are: where their control sockets are looked for, and by which addresses one is known."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from rpcshell.client.target import Target
from rpcshell.servers.control import Control
from rpcshell.servers.directory import control_folders
from rpcshell.servers.listeners import listens_at
from tests.servers import running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize(("owner", "mode"), [(65534, 0o700), (0, 0o770), (0, 0o707)])
def test_folders_that_are_not_the_users_alone_are_not_looked_into(
    owner: int, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("rpcserver", "rpcserver-0"):
        folder = tmp_path / name
        folder.mkdir(0o700)
        assert folder in control_folders()
        folder.chmod(mode)
        os.chown(folder, owner, owner)
        assert folder not in control_folders()


def test_servers_are_looked_for_also_where_no_temporary_folder_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable() -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", unwritable)
    assert all(folder.is_dir() for folder in control_folders())


def test_a_server_whose_folders_all_have_too_long_a_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    places = dict.fromkeys(("XDG_RUNTIME_DIR", "TMPDIR"), str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with running("-w", "1", folder=tmp_path, env=places) as server:
        path = Path(str(server.ready["control"]).removeprefix("unix:"))
        assert path.parent in control_folders()
        with Control(str(path)) as control:
            assert control.status().pid == server.pid


@pytest.mark.parametrize(
    ("address", "target", "same"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "localhost:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.1:81", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "192.0.2.1:80", False),
        ("[::1]:80", "[::1]:80", True),
        ("tls://127.0.0.1:80", "tls://localhost:80", True),
        ("unix:/tmp/a", "unix:/tmp/a", True),
        ("unix:/tmp/a", "127.0.0.1:80", False),
        ("what is this", "127.0.0.1:80", False),
    ],
)
def test_an_address_of_a_server_is_told_from_others(address: str, target: str, same: bool) -> None:
    assert listens_at(address, Target.parse(target)) is same
