"""Lines whose result is kept, or goes to a file or a shell command, run by a shell against a real server."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpcshell import ShellError, SyntaxProblem, UsageError
from rpcshell.commands import load_commands
from rpcshell.shell.call import Call
from rpcshell.shell.pipeline import CommandStopped, PipeFailed
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.settings import Settings
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.peers import Peer, serving
from tests.servers import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator


def answering(peer: Peer) -> None:
    """Echoes, except that `fail` fails."""
    while (request := peer.read()) is not None:
        if request["in"] == "fail":
            peer.send({"out": "error", "result": {"code": 5, "message": "no"}})
        else:
            peer.send({"out": "pong", "result": request.get("params")})


@pytest.fixture
def output() -> Recording:
    return Recording()


@pytest.fixture
def shell(output: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    session = Session(background=False, settings=Settings(script=True), plain=True)
    with serving(answering) as server:
        session.connect(server.target)
        yield Shell(session, output, load_commands, interactive=True)
        session.close()


def written(name: str) -> str:
    return Path(name).read_text(encoding="utf-8")


def test_a_line_of_the_systems_shell_is_run_to_its_end(shell: Shell, output: Recording) -> None:
    shell.execute("!echo 'a | b' > made")
    assert written("made") == "a | b\n"
    shell.execute("!false")
    assert output.notes == ["`false` ended with status 1"]
    shell.interactive = False
    with pytest.raises(PipeFailed):
        shell.execute("!exit 3")
    with pytest.raises(SyntaxProblem, match="a shell command is missing"):
        shell.execute("!")


def test_a_command_ends_where_the_ends_of_children_are_ignored(shell: Shell, output: Recording) -> None:
    former = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        shell.execute("!echo a > made")
    finally:
        signal.signal(signal.SIGCHLD, former)
    assert written("made") == "a\n"


def test_a_result_can_be_kept_and_used(shell: Shell, output: Recording) -> None:
    shell.execute('u = ping {"id": 7, "name": "Ann"}')
    shell.execute('ping id=$u.id text=$"Hello ${u.name}" last=$_.id')
    assert output.results[-1].result == {"id": 7, "text": "Hello Ann", "last": 7}
    shell.execute("x = $_.text")
    shell.execute("$x")
    assert output.values == [("$x", "Hello Ann"), ("$x", "Hello Ann")]
    assert tuple(shell.variables) == ("_", "u", "x")


def test_a_script_is_silent_about_what_it_keeps(shell: Shell, output: Recording) -> None:
    shell.interactive = False
    shell.execute("u = ping 1")
    shell.execute("x = $u")
    assert (output.results, output.values) == ([], [])
    shell.execute("$x")
    assert output.values == [("$x", 1)]


def test_a_call_that_fails_changes_no_variable(shell: Shell) -> None:
    shell.execute("u = ping 1")
    with pytest.raises(ShellError):
        shell.execute("u = fail")
    assert dict(shell.variables) == {"_": 1, "u": 1}


def test_an_unknown_variable_is_found_before_anything_is_sent(shell: Shell) -> None:
    shell.execute("user = ping 1")
    with pytest.raises(SyntaxProblem) as caught:
        shell.execute("ping $usr")
    assert (caught.value.column, caught.value.hint) == (5, "did you mean $user?")
    assert len(shell.journal) == 1


@pytest.mark.parametrize(
    ("settings", "value", "text"),
    [
        ({}, '{"a":[1,"é\x1b"]}', '{\n  "a": [\n    1,\n    "é\\u001b"\n  ]\n}\n'),
        ({"indent": 0}, '{"a":1}', '{"a":1}\n'),
        ({"format": "raw"}, '"two\\nrows"', "two\nrows\n"),
        ({"format": "raw"}, "[1]", "[1]\n"),
        ({"format": "table"}, '[{"id":1,"name":"Ann"},{"id":20,"name":"Bo"}]', "id  name\n"),
    ],
)
def test_a_result_in_a_file_is_plain_text_in_the_format_that_was_set(
    shell: Shell, output: Recording, settings: dict[str, str], value: str, text: str
) -> None:
    for name, setting in settings.items():
        shell.settings.set(name, setting)
    shell.execute(f"ping {value} > out")
    assert written("out").startswith(text)
    assert "\x1b" not in written("out")
    assert (output.results, len(output.timings)) == ([], 1)
    assert output.notes == [f"{len(written('out').encode())} bytes to out"]


def test_a_file_is_replaced_or_added_to(shell: Shell) -> None:
    for line in ("ping 1 > 'my file'", "ping 2 >> 'my file'", "$_ >> 'my file'", "u = ping 3 >> 'my file'"):
        shell.execute(line)
    assert written("my file") == "1\n2\n2\n3\n"
    shell.execute("ping <a:4>>'my file'")
    assert json.loads(written("my file")) == {"a": 4}


def test_a_file_that_cannot_be_written_is_refused_before_the_call(shell: Shell) -> None:
    for path, reason in (("none/out", "there is no folder none"), (".", "it is a folder")):
        with pytest.raises(UsageError, match=reason):
            shell.execute(f"ping 1 > {path}")
    assert len(shell.journal) == 0


def test_a_call_that_fails_leaves_the_file_alone(shell: Shell) -> None:
    shell.execute("ping 1 > out")
    with pytest.raises(ShellError):
        shell.execute("fail > out")
    assert written("out") == "1\n"


def test_a_shell_command_reads_the_result(shell: Shell, output: Recording, capfd: pytest.CaptureFixture[str]) -> None:
    shell.execute('ping {"a": "it\'s"} | tr a-z A-Z | tee out')
    assert json.loads(capfd.readouterr().out) == json.loads(written("out")) == {"A": "IT'S"}
    assert (output.results, len(output.timings)) == ([], 1)


def test_a_command_that_reads_only_the_beginning_is_fine(shell: Shell, capfd: pytest.CaptureFixture[str]) -> None:
    shell.execute(f"big = ping {json.dumps('x' * 1_000_000)}")
    shell.execute("$big | head -c 3")
    assert capfd.readouterr().out == '"xx'


def test_a_command_that_fails_is_noted_at_the_prompt_and_an_error_in_a_script(shell: Shell, output: Recording) -> None:
    shell.execute("ping 1 | exit 3")
    assert output.notes == ["`exit 3` ended with status 3"]
    assert len(output.timings) == 1
    shell.interactive = False
    with pytest.raises(PipeFailed) as caught:
        shell.execute("ping 1 | kill -9 $$")
    assert (caught.value.status, caught.value.exit_code) == (137, 1)


def test_what_a_command_says_can_go_elsewhere_too(shell: Shell, output: Recording) -> None:
    shell.execute("u = ping {a: 1}")
    shell.execute(":vars > vars")
    shell.execute(":vars | grep -c object > " + shlex.quote("count"))
    assert "$u  object  a" in written("vars")
    assert written("count") == "2\n"
    assert output.texts == []
    assert shell.output is output


def test_an_alias_stands_for_the_beginning_of_a_line(shell: Shell, output: Recording) -> None:
    shell.aliases |= {"me": "ping id=7", "mine": "me x=1", "ping": "ping", "ls": ":vars"}
    shell.execute("u = me n=2")
    assert output.results[-1].params == {"id": 7, "n": 2}
    shell.execute("mine | cat > /dev/null")
    assert shell.variables["_"] == {"id": 7, "x": 1}
    shell.execute("ping 5")
    shell.execute('"me" 6')
    assert [outcome.method for outcome in output.results] == ["ping", "ping", "me"]
    shell.execute("ls")
    assert output.texts


def test_a_mistake_after_an_alias_is_shown_in_the_line_it_stands_for(shell: Shell) -> None:
    shell.aliases["me"] = "ping id=7"
    with pytest.raises(SyntaxProblem) as caught:
        shell.execute("me x=")
    assert (caught.value.line, caught.value.column) == ("ping id=7 x=", 12)


def test_whoever_listens_hears_of_all_calls_and_so_does_the_journal(shell: Shell) -> None:
    heard: list[Call] = []
    shell.listeners.append(lambda _shell, call: heard.append(call))
    shell.execute("u = ping 1")
    with pytest.raises(ShellError):
        shell.execute("fail")
    assert [(call.method, call.outcome, call.result) for call in heard] == [("ping", "ok", 1), ("fail", "error", None)]
    assert [(record.line, record.outcome) for record in shell.journal] == [("u = ping 1", "ok"), ("fail", "error")]


def test_a_command_that_stops_is_told_instead_of_waited_for(shell: Shell) -> None:
    with pytest.raises(CommandStopped, match="has stopped") as caught:
        shell.execute("!kill -STOP $$")
    process = caught.value.process
    assert caught.value.hint == f"!kill -CONT {process.pid} has it go on, !kill -KILL {process.pid} ends it"
    process.send_signal(signal.SIGCONT)
    assert process.wait(PATIENCE) == 0
