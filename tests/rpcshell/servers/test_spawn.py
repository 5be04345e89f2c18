"""Servers of the shell's own: the real one, and stand-ins that fail in each way."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpcshell import Cancelled, SpawnFailed, UsageError, connect
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.session import Session
from tests.interrupts import interrupted
from tests.rpcshell.peers import DEADLINE
from tests.rpcshell.processes import ended
from tests.servers import needs_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_server

APP = """
def hello(params):
    return "hello"

service = {"hello": hello}
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "rpcshell"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program in the place of the server; `link` is its end of the link."""

    def install(code: str) -> None:
        package = tmp_path / "stand_in" / "rpcserver"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        prelude = (
            "import os, signal, socket, sys\n"
            "link = socket.socket(fileno=int(sys.argv[sys.argv.index('--link-fd') + 1]))\n"
        )
        (package / "__main__.py").write_text(prelude + code)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return install


@pytest.fixture
def server() -> Iterator[SpawnedServer]:
    server = SpawnedServer.start(SpawnOptions(workers=2))
    yield server
    server.stop(drain=0.1)


def test_a_spawned_server_answers_at_its_address(server: SpawnedServer) -> None:
    with connect(server.addresses[0]) as client:
        assert client.call("ping", {"a": 1}) == {"a": 1}
    assert server.workers == 2
    assert server.model == "sync"
    assert server.poll() is None


def test_its_log_is_closed_to_others(server: SpawnedServer, state: Path) -> None:
    assert server.log.parent == state / "servers"
    assert stat.S_IMODE(server.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.thorough
def test_it_is_in_a_session_of_its_own(server: SpawnedServer) -> None:
    assert os.getsid(server.pid) == server.pid


def test_stopping_ends_it_gracefully(server: SpawnedServer) -> None:
    assert server.stop() == 0
    assert ended(server.pid)
    assert server.how_it_ended() == "ended with exit status 0"


@pytest.mark.thorough
def test_an_app_is_found_from_the_folder_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hello.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    server = SpawnedServer.start(SpawnOptions(workers=1, app="hello.py"))
    try:
        with connect(server.addresses[0]) as client:
            assert client.call("hello") == "hello"
    finally:
        server.stop(drain=0.1)


@pytest.mark.thorough
def test_a_module_beside_the_shell_does_not_shadow_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rpcserver", "msgspec", "json", "click"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    server = SpawnedServer.start(SpawnOptions(workers=1))
    server.stop(drain=0.1)


def test_an_app_that_fails_shows_its_own_traceback_and_no_more(tmp_path: Path) -> None:
    app = tmp_path / "broken.py"
    app.write_text("def load():\n    return 1 / 0\n\nload()\n")
    with pytest.raises(SpawnFailed) as caught:
        SpawnedServer.start(SpawnOptions(workers=2, app=str(app)))
    traceback = caught.value.traceback
    assert traceback is not None
    assert "ZeroDivisionError" in traceback
    assert "broken.py" in traceback
    assert "rpcserver" not in traceback
    assert "importlib" not in traceback


def test_an_app_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SpawnFailed) as caught:
        SpawnedServer.start(SpawnOptions(app=str(tmp_path / "none.py")))
    assert caught.value.traceback is None
    assert "none.py" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.thorough
def test_an_unknown_model_is_one_clear_line() -> None:
    with pytest.raises(SpawnFailed) as caught:
        SpawnedServer.start(SpawnOptions(model="nonesuch"))
    assert "nonesuch" in caught.value.message


def test_no_workers_are_refused_before_anything_is_started(state: Path) -> None:
    with pytest.raises(UsageError):
        SpawnedServer.start(SpawnOptions(workers=0))
    assert not state.exists()


def test_options_no_process_can_take_are_a_usage_error() -> None:
    with pytest.raises(UsageError):
        SpawnedServer.start(SpawnOptions(app="a\0b"))


def test_a_server_that_dies_before_it_is_ready_says_how_and_its_last_words(stand_in: Callable[[str], None]) -> None:
    stand_in("print('first', flush=True); print('no room', file=sys.stderr); sys.exit(7)")
    with pytest.raises(SpawnFailed) as caught:
        SpawnedServer.start(SpawnOptions())
    assert caught.value.message == "the server ended with exit status 7 before it was ready: no room"
    assert caught.value.log is not None
    assert str(caught.value.log) in str(caught.value)


def test_a_server_that_is_killed_before_it_is_ready_says_by_what(stand_in: Callable[[str], None]) -> None:
    stand_in("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(SpawnFailed, match="was killed by SIGKILL"):
        SpawnedServer.start(SpawnOptions())


@pytest.mark.samples(1)
@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b'{"event":"ready"}\n', b"\xff\n", b'{"event":"what"}\n'])
def test_a_ready_message_that_makes_no_sense_is_refused_and_the_server_ended(
    stand_in: Callable[[str], None], line: bytes, tmp_path: Path
) -> None:
    stand_in(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nlink.sendall({line!r})\nsignal.pause()")
    with pytest.raises(SpawnFailed):
        SpawnedServer.start(SpawnOptions())
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_server_that_never_gets_ready_is_ended_at_the_time_limit(
    stand_in: Callable[[str], None], tmp_path: Path
) -> None:
    stand_in(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nlink.sendall(b'{{')\nsignal.pause()")
    with pytest.raises(SpawnFailed, match=r"not ready within 1 s"):
        SpawnedServer.start(SpawnOptions(), timeout=1)
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_server_that_serves_on_for_balancers_has_that_time_beside(
    stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcshell.servers.spawn.DRAIN_TIMEOUT", 0.0)
    stand_in(
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})\n"
        """link.sendall(b'{"event":"ready","pid":1,"addresses":["127.0.0.1:1"]}\\n')\n"""
        "signal.sigwait({signal.SIGTERM}); sys.exit(signal.SIGINT in signal.sigpending())"
    )
    server = SpawnedServer.start(SpawnOptions(extra=("--drain-settle", "60", "--health", "127.0.0.1:0")))
    assert server.stop() == 0


def test_a_server_that_ignores_every_signal_is_ended_by_force(stand_in: Callable[[str], None]) -> None:
    stand_in(
        "for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)\n"
        """link.sendall(b'{"event":"ready","pid":1,"addresses":["127.0.0.1:1"]}\\n')\nwhile True: signal.pause()"""
    )
    server = SpawnedServer.start(SpawnOptions())
    assert server.stop(drain=0.05, quit_after=0.05) == -signal.SIGKILL
    assert server.how_it_ended() == "was killed by SIGKILL"


def test_an_interrupt_while_waiting_ends_the_server(stand_in: Callable[[str], None], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stand_in(f"open({str(fifo)!r}, 'w').write(str(os.getpid()))\nsignal.pause()")
    pids: list[int] = []

    with interrupted(lambda: pids.append(int(fifo.read_text()))), pytest.raises(Cancelled):
        SpawnedServer.start(SpawnOptions())
    assert ended(pids[0])


def test_old_logs_are_pruned(state: Path, stand_in: Callable[[str], None]) -> None:
    folder = state / "servers"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"server-20200101-0000{number:02}-1-abc.log").touch()
    stand_in("sys.exit(1)")
    with pytest.raises(SpawnFailed):
        SpawnedServer.start(SpawnOptions())
    logs = sorted(path.name for path in folder.iterdir())
    assert len(logs) == 20
    assert logs[0].startswith("server-20200101-000011")


@pytest.mark.samples(1)
@pytest.mark.parametrize("elsewhere", [True, False])
def test_without_a_state_folder_a_server_logs_elsewhere_or_nowhere_and_that_is_said(
    elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path if elsewhere else tmp_path / "missing"))
    notes: list[str] = []
    session = Session()
    session.on_note(notes.append)
    try:
        server = session.spawn(SpawnOptions(workers=1))
        reply = session.call("ping", {"a": 1}).reply
        assert reply is not None
        assert reply.result == {"a": 1}
        if elsewhere:
            assert server.log.parent == tmp_path
            assert "listening on" in server.log.read_text()
            assert stat.S_IMODE(server.log.stat().st_mode) == 0o600
    finally:
        session.close()
        server.stop()
    (note,) = notes
    assert note.startswith(f"the server's log is {server.log}" if elsewhere else "the server has no log")
    assert str(tmp_path / "file") in note
    server.remove_log()
    assert Path(os.devnull).exists()


SHELL = """
import sys
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
server = SpawnedServer.start(SpawnOptions(workers=1, keep={keep}))
print(server.pid, server.addresses[0], flush=True)
sys.stdin.read()
"""


@pytest.mark.samples(1)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_server_ends_with_the_shell_however_that_ends(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SHELL.format(keep=False)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdout is not None
        pid = int(shell.stdout.readline().split()[0])
        shell.send_signal(number)
        shell.wait(DEADLINE)
    assert ended(pid)


def test_a_kept_server_outlives_the_shell() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SHELL.format(keep=True)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    pid, address = run.stdout.split()
    try:
        with connect(address) as client:
            assert client.call("ping", 1) == 1
    finally:
        os.kill(int(pid), signal.SIGTERM)
    assert ended(int(pid))
