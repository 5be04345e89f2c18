import json
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.masking import Known
from rpcshell.prompt.history import LineHistory, history_path
from tests.steps import steps


def loaded(path: Path, cap: int = 100) -> list[str]:
    return list(reversed(list(LineHistory(path, cap=cap).load_history_strings())))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_lines_come_back_in_order_whatever_is_in_them(path: Path) -> None:
    lines = ["ping", 'echo {\n  "a": 1\n}', "über \u2028 日本", "\x1b[31m"]
    history = LineHistory(path)
    for line in lines:
        history.append_string(line)
    assert loaded(path) == lines
    assert history.get_strings() == lines


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_file_is_private_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path.parent.mkdir()
        path.parent.chmod(0o700)
        LineHistory(path).append_string("ping")
    finally:
        os.umask(before)
    assert mode(path) == 0o600


def test_the_folder_of_the_file_is_private(path: Path) -> None:
    LineHistory(path).append_string("ping")
    assert mode(path.parent) == 0o700


def test_the_mode_of_an_existing_file_is_mended(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('"ping"\n')
    path.chmod(0o644)
    assert loaded(path) == ["ping"]
    assert mode(path) == 0o600


def test_a_line_that_begins_with_a_blank_is_not_kept_beyond_the_run(path: Path) -> None:
    history = LineHistory(path)
    history.append_string(" ping")
    history.append_string("\tping")
    assert not path.exists()
    assert history.get_strings() == [" ping", "\tping"]


def test_a_repeated_line_is_written_once(path: Path) -> None:
    history = LineHistory(path)
    for line in ["ping", "ping", "echo", "ping"]:
        history.append_string(line)
    assert loaded(path) == ["ping", "echo", "ping"]


def test_a_line_is_not_written_again_after_a_restart(path: Path) -> None:
    LineHistory(path).append_string("ping")
    history = LineHistory(path)
    list(history.load_history_strings())
    history.append_string("ping")
    assert path.read_text() == '"ping"\n'


def test_a_file_over_the_cap_loses_its_oldest_lines(path: Path) -> None:
    history = LineHistory(path)
    for number in range(30):
        history.append_string(f"echo {number}")
    assert loaded(path, cap=10) == [f"echo {number}" for number in range(20, 30)]
    assert len(path.read_text().splitlines()) == 10
    assert mode(path) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_of_a_file_that_is_another_programs_only_what_is_kept_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"#1764400000\nls -la\n" * 5000 + b'"ping"\n')
    work = steps(lambda: loaded(path))
    assert loaded(path) == ["ping"]
    path.write_bytes(b"#1764400000\nls -la\n" * 50 + b'"ping"\n')
    assert work < 2 * steps(lambda: loaded(path))


def test_a_file_just_over_the_cap_is_left_alone(path: Path) -> None:
    history = LineHistory(path)
    for number in range(11):
        history.append_string(f"echo {number}")
    assert len(loaded(path, cap=10)) == 11


def test_a_line_typed_before_the_file_was_read_comes_after_it(path: Path) -> None:
    LineHistory(path).append_string("first")
    history = LineHistory(path)
    history.append_string("second")
    assert history.get_strings() == ["first", "second"]


def test_shells_that_write_and_cut_at_once_lose_no_line(path: Path) -> None:
    history = LineHistory(path)
    for number in range(50):
        history.append_string(f"old {number}")

    def work(shell: int) -> None:
        mine = LineHistory(path)
        for number in range(20):
            mine.append_string(f"echo {shell} {number}")
            list(LineHistory(path, cap=200).load_history_strings())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    kept = loaded(path, cap=1000)
    for shell in range(4):
        wanted = [f"echo {shell} {number}" for number in range(20)]
        assert [line for line in kept if line.startswith(f"echo {shell} ")] == wanted


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe\n", b'"half', b"{}\n", b"[" * 100_000 + b"\n", b"\0\0\n", b"7\n", b'""\n', b"\n\n"]
)
def test_damage_costs_only_the_damaged_line(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(b'"one"\n' + damage)
    LineHistory(path).append_string("two")
    assert loaded(path) == ["one", "two"]


def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    path.parent.mkdir()
    link.symlink_to(path)
    history = LineHistory(link)
    for number in range(5):
        history.append_string(f"echo {number}")
    assert loaded(link, cap=2) == ["echo 3", "echo 4"]
    assert link.is_symlink()
    assert loaded(path) == ["echo 3", "echo 4"]


def test_a_file_that_cannot_be_used_is_told_once_and_lines_stay_in_memory(tmp_path: Path) -> None:
    told: list[str] = []
    blocked = tmp_path / "file"
    blocked.write_text("")
    history = LineHistory(blocked / "history", on_problem=told.append)
    history.append_string("ping")
    history.append_string("echo")
    assert len(told) == 1
    assert told[0].startswith("the history is not kept: ")
    assert str(blocked) in told[0]
    assert "Errno" not in told[0]
    assert history.get_strings() == ["ping", "echo"]


def test_a_pipe_in_its_place_is_left_alone(tmp_path: Path) -> None:
    told: list[str] = []
    os.mkfifo(tmp_path / "pipe", 0o640)
    history = LineHistory(tmp_path / "pipe", on_problem=told.append)
    assert list(history.load_history_strings()) == []
    assert "not a regular file" in told[0]
    assert mode(tmp_path / "pipe") == 0o640


def test_the_variable_names_the_file_or_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RPCSHELL_HISTORY", str(tmp_path / "mine"))
    assert history_path() == tmp_path / "mine"
    for nowhere in ("", "/dev/null"):
        monkeypatch.setenv("RPCSHELL_HISTORY", nowhere)
        assert history_path() is None
    monkeypatch.delenv("RPCSHELL_HISTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    found = history_path()
    assert found is not None
    assert found.name == "history"


def test_without_a_file_lines_stay_in_memory() -> None:
    history = LineHistory(None)
    history.append_string("ping")
    assert history.get_strings() == ["ping"]


def test_secrets_are_masked_in_what_is_stored_and_not_in_what_can_be_called_back(path: Path) -> None:
    history = LineHistory(path)
    history.append_string("login password=hunter2")
    assert loaded(path) == ['login password="***"']
    assert history.get_strings() == ["login password=hunter2"]


def test_lines_that_differ_in_a_secret_only_are_stored_once(path: Path) -> None:
    history = LineHistory(path)
    history.append_string("login password=a")
    history.append_string("login password=b")
    assert loaded(path) == ['login password="***"']


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
def test_no_secret_is_stored_whatever_is_known_of_the_method(tail: str) -> None:
    secret = "hunter2hunter2"  # noqa: S105
    known = Known(lambda method: ("user", "pw") if method == "login" else (), {"li": "login"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "history")
        history = LineHistory(path, known=lambda: known)
        history.append_string(f"login {json.dumps(['bob', secret + tail])}")
        history.append_string(f"li {json.dumps(['bob', secret + tail], ensure_ascii=False)}")
        history.append_string(f"open url={json.dumps(f'amqp://bob:{secret}@host/{tail}')}")
        history.append_string(f"post body={json.dumps(json.dumps({'otp': secret + tail}))}")
        assert len(loaded(path)) == 4
        assert secret.encode() not in path.read_bytes()
