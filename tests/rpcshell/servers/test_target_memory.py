from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpcshell.client.target import Target, TcpTarget, UnixTarget
from rpcshell.servers.target_memory import TargetMemory


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(tmp_path: Path, clock: Clock) -> TargetMemory:
    return TargetMemory(lambda: tmp_path, clock)


def test_a_remembered_target_is_known_to_the_next_run(memory: TargetMemory, tmp_path: Path, clock: Clock) -> None:
    memory.remember("a:1", seconds=10)
    assert TargetMemory(lambda: tmp_path, clock).remembers("a:1")
    assert not memory.remembers("a:2")


def test_a_target_is_remembered_only_for_its_time(memory: TargetMemory, clock: Clock) -> None:
    memory.remember("a:1", seconds=10)
    clock.now += 10
    assert not memory.remembers("a:1")


def test_a_forgotten_target_is_not_remembered_and_others_are(memory: TargetMemory) -> None:
    memory.remember("a:1", seconds=10)
    memory.remember("b:1", seconds=10)
    memory.forget("a:1")
    assert not memory.remembers("a:1")
    assert memory.remembers("b:1")


@pytest.mark.parametrize(
    "target",
    ["jsonrpc:http://host/?api_key=hunter2", "jsonrpc:exec:serve --token hunter2", "jsonrpc:http://a:hunter2@host/"],
)
def test_a_target_with_a_secret_in_it_is_not_written_down(memory: TargetMemory, tmp_path: Path, target: str) -> None:
    memory.used("tls://host:1")
    memory.used(target)
    memory.remember(target, seconds=10)
    assert memory.recent() == ("tls://host:1",)
    assert "hunter2" not in (tmp_path / "targets.json").read_text()


def test_the_file_is_closed_to_others_and_leaves_nothing_beside_it(memory: TargetMemory, tmp_path: Path) -> None:
    memory.remember("a:1", seconds=10)
    memory.remember("a:2", seconds=10)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_number_of_entries_is_bounded_and_the_longest_lasting_stay(memory: TargetMemory, tmp_path: Path) -> None:
    for number in range(250):
        memory.remember(f"a:{number}", seconds=10 + number)
    assert memory.remembers("a:249")
    assert not memory.remembers("a:0")
    assert (tmp_path / "targets.json").read_text().count('"a:') == 200


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_damaged_file_remembers_nothing_and_is_replaced(memory: TargetMemory, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "targets.json").write_bytes(damage)
    assert not memory.remembers("a:1")
    memory.remember("a:1", seconds=10)
    assert memory.remembers("a:1")


@pytest.mark.parametrize(
    "content", [b'{"plain_until":{"a:1":"soon"}}', b'{"plain_until":[]}', b"[" * 10_000, b" " * 300_000 + b"{}"]
)
def test_a_file_of_another_shape_remembers_nothing(memory: TargetMemory, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "targets.json").write_bytes(content)
    assert not memory.remembers("a:1")


def test_a_pipe_in_the_place_of_the_file_remembers_nothing_and_is_replaced(
    memory: TargetMemory, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "targets.json")
    assert memory.spoken("h:1") is None
    memory.learn("h:1", "qmp:h:1")
    assert memory.spoken("h:1") == "qmp:h:1"


@pytest.mark.parametrize("leads_to", ["victim", "targets.json", "/dev/zero", "/nowhere/at/all"])
def test_nothing_is_written_where_a_link_in_the_place_of_the_file_leads(
    memory: TargetMemory, tmp_path: Path, leads_to: str
) -> None:
    victim, file = tmp_path / "victim", tmp_path / "targets.json"
    victim.write_text("precious")
    file.symlink_to(leads_to)
    assert memory.spoken("h:1") is None
    memory.learn("h:1", "qmp:h:1")
    assert memory.spoken("h:1") == "qmp:h:1"
    assert victim.read_text() == "precious"
    assert not file.is_symlink()


def test_without_a_folder_nothing_is_remembered_and_nothing_fails(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    def folder() -> Path:
        (file / "state").mkdir()
        raise AssertionError("a folder was made inside a file")

    memory = TargetMemory(folder)
    memory.remember("a:1", seconds=10)
    assert not memory.remembers("a:1")


def test_targets_that_were_used_are_remembered_the_last_one_first(
    memory: TargetMemory, tmp_path: Path, clock: Clock
) -> None:
    memory.remember("plain:1", seconds=10)
    for target in ("a:1", "b:1", "a:1", "a:1"):
        memory.used(target)
    again = TargetMemory(lambda: tmp_path, clock)
    assert again.recent() == ("a:1", "b:1")
    for number in range(30):
        again.used(f"n{number}:1")
    assert len(again.recent()) == 20
    assert memory.remembers("plain:1")
    assert (tmp_path / "targets.json").stat().st_mode & 0o777 == 0o600


def test_the_memory_is_for_its_owner_alone_and_has_an_end(tmp_path: Path) -> None:
    memory = TargetMemory(lambda: tmp_path)
    for number in range(1, 251):
        memory.learn(str(TcpTarget("h", number)), f"qmp:h:{number}")
    assert (memory.spoken("h:50"), memory.spoken("h:51"), memory.spoken("h:250")) == (None, "qmp:h:51", "qmp:h:250")
    assert (tmp_path / "targets.json").stat().st_mode & 0o777 == 0o600
    memory.learn("h:51", "native:h:51")
    memory.remember("x:1", seconds=60)
    memory.used("x:2")
    assert memory.spoken("h:51") == "native:h:51"
    memory.learn("http://h/", "mcp:http://h/?token=secret")
    assert memory.spoken("http://h/") is None


def test_an_address_of_a_socket_file_is_remembered_whole(memory: TargetMemory) -> None:
    path = UnixTarget("/run/a b.sock")
    memory.learn(str(path), f"qmp:{path}")
    assert Target.parse(memory.spoken(str(path)) or "") == UnixTarget("/run/a b.sock", dialect="qmp")


def test_threads_lose_nothing_of_each_others(tmp_path: Path) -> None:
    memory = TargetMemory(lambda: tmp_path)

    def learn(host: int) -> None:
        for port in range(1, 26):
            memory.learn(f"h{host}:{port}", f"qmp:h{host}:{port}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(learn, range(4)))
    assert all(memory.spoken(f"h{host}:{port}") for host in range(4) for port in range(1, 26))
