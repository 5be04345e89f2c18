"""Where the control socket is made, by whom it may be held, and what becomes of it when its place does not serve."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from itertools import count
from pathlib import Path

import pytest

from rpcserver.arbiter.control import open_control, runtime_folder
from rpcserver.system.addresses import BindError
from rpcshell.servers.directory import control_folders
from rpcwire import Goodbye
from tests.poverty import descriptors_below
from tests.rpcserver.steering import control_client, control_path, steering
from tests.servers import PROBE_APP, launched, running


def test_a_server_without_a_control_socket_has_none(tmp_path: Path) -> None:
    with running("-w", "1", "--control", "none", folder=tmp_path) as server:
        assert server.ready["control"] is None
        with server.connect() as client:
            assert client.call("echo", 1).result == 1


def test_a_folder_that_others_may_look_into_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "rpcserver").mkdir(0o755)
    with pytest.raises(BindError, match="not this user's alone"):
        runtime_folder()
    (tmp_path / "rpcserver").rmdir()
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / "rpcserver").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BindError, match="not this user's alone"):
        open_control("auto")


def test_the_sockets_of_killed_servers_are_removed_and_not_that_of_one_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()
    begins, killed = folder / f"{os.getppid()}.sock", folder / f"{2**22 + 1}.sock"
    for path in (begins, killed):
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    listener = open_control("auto")
    assert listener is not None
    listener.close()
    assert list(folder.iterdir()) == [begins]


def test_the_socket_can_be_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "here.sock"
    with running("-w", "1", "--control", str(path), folder=tmp_path) as server, steering(server) as arbiter:
        assert control_path(server) == str(path)
        assert len(arbiter.workers()) == 1
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert not path.exists()


def test_workers_do_not_hold_the_control_sockets_connections(tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server, control_client(server) as client:
        assert client.call("arbiter.scale", {"workers": 3}).fault is None
        assert client.call("arbiter.reload").fault is None
        server.wait_for_log("reloaded:")
        assert client.call("arbiter.stop").fault is None
        assert isinstance(client.receive(), Goodbye)
        # A descriptor left in a worker would keep the stream open.
        assert client.receive() is None
        assert server.wait() == 0


def test_a_server_does_without_where_there_is_no_place_for_it_unless_one_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "rpcserver").write_text("in the way")
    with running("-w", "1", folder=tmp_path, env={"XDG_RUNTIME_DIR": str(tmp_path)}) as server:
        assert server.ready["control"] is None
        assert "there will be no control socket" in server.log()
    with launched("-b", "127.0.0.1:0", "--control", str(tmp_path / "missing" / "x.sock")) as refused:
        assert "no such folder" in refused.event()["message"]
        assert refused.wait() == 1


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("number", "vanishing"),
    [(signal.SIGHUP, "socket"), (signal.SIGUSR1, "folder"), (signal.SIGHUP, "runtime folder")],
)
def test_a_socket_that_has_vanished_is_made_again(number: signal.Signals, vanishing: str, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    with running("-w", "1", "--control", "auto", folder=tmp_path, env={"XDG_RUNTIME_DIR": str(runtime)}) as server:
        path = Path(control_path(server))
        path.unlink()
        if vanishing != "socket":
            path.parent.rmdir()
        if vanishing == "runtime folder":
            runtime.rmdir()
        server.signal(number)
        server.wait_for_log(f"was made again: unix:{path}")
        with steering(server) as arbiter:
            assert arbiter.status()["pid"] == server.pid
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert not path.exists()


def test_a_socket_that_cannot_be_made_again_is_said_and_the_server_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with running("-w", "1", "--control", str(folder / "x.sock"), folder=tmp_path) as server:
        (folder / "x.sock").unlink()
        folder.rmdir()
        server.signal(signal.SIGHUP)
        assert "no such folder" in server.wait_for_log("cannot be made again")
        server.wait_for_log("reloaded")
        with server.connect() as client:
            assert client.call("echo", 1).result == 1


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", ["missing", "relative", "too long", "writable by others", "another user's"])
def test_a_runtime_folder_that_cannot_be_trusted_is_said_once_and_not_used(kind: str, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    if kind == "missing":
        runtime /= "deeper"
    elif kind == "too long":
        runtime /= "x" * 90
        runtime.mkdir(parents=True)
    elif kind == "another user's" and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    else:
        runtime.mkdir()
    if kind == "writable by others":
        runtime.chmod(0o777)
    elif kind == "another user's":
        os.chown(runtime, 65534, 65534)
    named = "run" if kind == "relative" else str(runtime)
    with running("-w", "1", folder=tmp_path, env={"XDG_RUNTIME_DIR": named, "TMPDIR": str(tmp_path)}) as server:
        assert not Path(control_path(server)).is_relative_to(runtime)
        assert server.log().count("XDG_RUNTIME_DIR is not used") == 1
        with steering(server) as arbiter:
            assert len(arbiter.workers()) == 1


@pytest.mark.parametrize("named", ["here", "./here", "/proc", "/dev/null", "", None])
def test_the_folder_for_temporary_files_is_the_one_that_the_shell_finds(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    if named is not None:
        monkeypatch.setenv("TMP", named)
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert runtime_folder() in control_folders()


@pytest.mark.samples(1)
@pytest.mark.parametrize("spare", [0, 1])
def test_an_arbiter_without_descriptors_serves_clients_later(spare: int, tmp_path: Path) -> None:
    with running("-w", "1", folder=tmp_path) as server:
        numbers = {int(found.name) for found in Path(f"/proc/{server.pid}/fd").iterdir()}
        limit = next(number for number in count() if number not in numbers) + spare
        with descriptors_below(limit, server.pid):
            # Free numbers are taken by those who come first; some of those that were seen may be free again. More
            # clients than a few would be too many, however many descriptors there are.
            early = [control_client(server) for _ in range(spare + 10)]
            server.wait_for_log("clients of the control socket are not served for now: Too many open files")
        with steering(server) as arbiter:
            assert arbiter.status()["pid"] == server.pid
        for client in early:
            client.close()
        assert server.log().count("not served for now") == 1


def test_names_that_are_no_text_are_told_with_escapes(tmp_path: Path) -> None:
    app, path = tmp_path / os.fsdecode(b"n\xffw.py"), tmp_path / os.fsdecode(b"s\xff")
    app.write_text(PROBE_APP)
    bind = ("--bind", f"unix:{path}")
    with launched(*bind, "-w", "1", str(app), cwd=tmp_path) as server:
        server.wait_until_ready()
        ready = server.ready
        assert (ready["app"], ready["addresses"]) == (f"{tmp_path}/n\\udcffw.py", [f"unix:{tmp_path}/s\\udcff"])
        with steering(server) as arbiter:
            status = arbiter.status()
        assert [status["app"], status["listeners"][0]["address"]] == [ready["app"], *ready["addresses"]]
    with launched(*bind, "--tls-cert", str(path), str(app), cwd=tmp_path) as refused:
        assert refused.event()["message"].startswith(f"{tmp_path}/s\\udcff: ")
