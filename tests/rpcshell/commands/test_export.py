import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rpcshell.client.errors import CallError, ShellError, UsageError
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server

PLACE = (
    'order.place {"customer": "Ada \\"the Countess\\" $HOME `x`", "items": [{"sku": "TEA-42"}], '
    '"address": {"street": "Ünter\\tden\\nLinden", "city": "O\'Hare"}}'
)
SESSION = [
    'ping {"a": [1, 2.5, null, true]}',
    "ping",
    "now",
    "whoami",
    "add a=1 b=2",
    "add a=0.1 b=0.2",
    "fail code=7",
    PLACE,
    "order.list",
    "order.get id=999",
    'ping {"user": "ada", "password": "hun\\"t\\\\er $2 `x`"}',
    'ping {"token": {"deep": [1]}}',
    "nonesuch",
]
SECRETS = {"RPCSHELL_PASSWORD": 'hun"t\\er $2 `x`', "RPCSHELL_TOKEN": '{"deep": [1]}'}
RUNNERS = {
    "python": [sys.executable],
    "shell": ["sh"],
    "pytest": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull],
}

pytestmark = needs_server


def call_all(shell: Shell, address: str, lines: list[str]) -> None:
    shell.execute(f":connect {address}")
    for line in lines:
        try:
            shell.execute(line)
        except CallError:
            continue


def run(kind: str, path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    folder = str(Path(sys.executable).parent)
    # Who runs it need not have the plugins that are here, and they take longer to import than it takes to run.
    plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment = {**os.environ, **plugins, "PATH": f"{folder}:{os.environ['PATH']}", **variables}
    return subprocess.run(
        [*RUNNERS[kind], str(path)], capture_output=True, text=True, timeout=100, env=environment, check=False
    )


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", ["python", "shell", "pytest"])
def test_an_exported_file_passes_when_it_is_run(
    shell: Shell, output: Recording, address: str, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "test_calls of mine.py"
    call_all(shell, address, SESSION)
    shell.execute(f":export {kind} -o '{path}'")
    # The server has one worker, which serves one connection at a time.
    shell.execute(":disconnect")
    ran = run(kind, path, **SECRETS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    if kind == "pytest":
        assert f"{len(SESSION)} passed" in ran.stdout
    else:
        shown = ran.stdout.splitlines()
        assert shown[0].replace(" ", "") in {'{"a":[1,2.5,null,true]}', "{'a':[1,2.5,None,True]}"}
        assert any("""hun"t\\\\er $2 `x`""" in line or 'hun\\"t\\\\er $2 `x`' in line for line in shown)
    assert any(f"{len(SESSION)} calls in {path}; run it with: " in note for note in output.notes)
    assert "hun" not in path.read_text()
    assert bool(path.stat().st_mode & stat.S_IXUSR) == (kind == "shell")


@pytest.mark.thorough
def test_tests_fail_when_a_result_is_another(shell: Shell, address: str, tmp_path: Path) -> None:
    call_all(shell, address, ["add a=1 b=2"])
    shell.execute(":export pytest -o test_calls.py")
    shell.execute(":disconnect")
    path = tmp_path / "test_calls.py"
    path.write_text(path.read_text().replace('"b": 2', '"b": 3'))
    ran = run("pytest", path)
    assert ran.returncode == 1
    assert "4.0 == 3.0" in ran.stdout


def test_the_last_calls_are_exported_and_those_without_a_reply_left_out(
    shell: Shell, output: Recording, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_all(shell, address, ["ping 1", "ping 2"])
    monkeypatch.setattr(shell.session.settings, "timeout", 0.01)
    with pytest.raises(Exception, match="within"):
        shell.execute("sleep seconds=0.5")
    shell.execute(":export python --last 2")
    assert output.texts[-1].count("client.call") == 1
    assert 'client.call("ping", 2)' in output.texts[-1]
    assert output.notes[-1].startswith("left out: 1 call ")
    for line, count in ((":export python 2", 1), (":export python 1-3", 2), (":export python 2 1", 2)):
        shell.execute(line)
        assert output.texts[-1].count("client.call") == count, line
    for line, said in (("4", "no call 4"), ("x", "is no number"), ("1 --last 2", "only one of them")):
        with pytest.raises(UsageError, match=said):
            shell.execute(f":export python {line}")


def test_a_call_whose_outcome_depends_on_others_is_no_test(shell: Shell, output: Recording, address: str) -> None:
    call_all(shell, address, ["ping 1", "order.list limit=1000"])
    number = shell.session.call("order.list", {"limit": 1}).result
    latest = number[0]["id"] if number else 0
    call_all(shell, address, [f"order.get id={latest + 1}", PLACE])
    shell.execute(":export pytest")
    assert "order_get" not in output.texts[-1]
    assert output.notes[-1].startswith("left out: 1 call ")


def test_what_is_left_out_is_told_of_one_call_and_of_several(shell: Shell, output: Recording, address: str) -> None:
    call_all(shell, address, ["ping 1"])
    shell.session.settings.set("timeout", "0.01")
    for told in (
        "left out: 1 call that had no reply, was too large or too deep, or depends on others",
        "left out: 2 calls that had no reply, were too large or too deep, or depend on others",
    ):
        with pytest.raises(ShellError, match="within"):
            shell.execute("sleep seconds=0.5")
        shell.execute(":export python")
        assert output.notes[-1] == told


def test_a_file_that_is_there_is_written_over_only_when_told(shell: Shell, address: str, tmp_path: Path) -> None:
    call_all(shell, address, ["ping 1"])
    (tmp_path / "mine.py").write_text("precious")
    with pytest.raises(UsageError, match="--force"):
        shell.execute(":export python -o mine.py")
    assert (tmp_path / "mine.py").read_text() == "precious"
    shell.execute(":export python -o mine.py --force")
    assert "client.call" in (tmp_path / "mine.py").read_text()
    for line, problem in ((".", "is a folder"), ("none/x.py", "cannot be written")):
        with pytest.raises(UsageError, match=problem):
            shell.execute(f":export python -o {line}")


def test_without_calls_there_is_nothing_to_export(shell: Shell, address: str) -> None:
    shell.execute(f":connect {address}")
    with pytest.raises(UsageError, match="no call was answered yet"):
        shell.execute(":export python")


def test_several_targets_have_a_client_each(shell: Shell, output: Recording, address: str) -> None:
    call_all(shell, address, ["ping 1"])
    call_all(shell, address.replace("127.0.0.1", "localhost"), ["ping 2"])
    for kind in ("python", "shell", "pytest"):
        shell.execute(f":export {kind}")
        assert "RPCSHELL_TARGET_2" in output.texts[-1]
    assert "def test_2_ping(client_2):" in output.texts[-1]
