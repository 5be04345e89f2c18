"""`:source`, `:vars` and `:alias`, and the language in scripts as processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpcshell.client.errors import CallError, SyntaxProblem, UsageError
from rpcshell.commands import load_commands
from rpcshell.shell.session import Leave, Session
from rpcshell.shell.shell import Shell
from rpcshell.view.settings import Settings
from tests import forks
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.peers import PeerServer, serving
from tests.rpcshell.shell.test_pipeline import answering

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[PeerServer]:
    with serving(answering) as server:
        yield server


@pytest.fixture
def shell(server: PeerServer, output: Recording) -> Iterator[Shell]:
    session = Session(background=False, settings=Settings(script=True), plain=True)
    session.connect(server.target)
    yield Shell(session, output, load_commands, interactive=True)
    session.close()


def run(server: PeerServer, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = forks.run("rpcshell", [server.target, "--plain", *arguments], stdin=stdin.encode())
    return done.returncode, done.stdout, done.stderr


def test_source_runs_the_lines_of_a_file_in_this_shell(shell: Shell, output: Recording) -> None:
    Path("inner.rpc").write_text("y = ping $x\n")
    Path("outer.rpc").write_text("# set up\nx = 5\n:source inner.rpc\nping {\n  a: $y\n}\n")
    shell.execute(":source outer.rpc")
    assert output.results[-1].result == {"a": 5}
    assert shell.sources == ()


def test_source_stops_at_the_first_error_and_says_where(shell: Shell, output: Recording) -> None:
    Path("a.rpc").write_text("ping 1\n\nfail\nping 2\n")
    with pytest.raises(CallError):
        shell.execute(":source a.rpc")
    assert [outcome.result for outcome in output.results] == [1]
    assert output.notes == ["a.rpc:3: the rest was not run, because of this:"]
    Path("b.rpc").write_text("ping {\n")
    with pytest.raises(SyntaxProblem):
        shell.execute(":source b.rpc")


def test_source_refuses_what_it_cannot_read_and_a_file_that_reads_itself(shell: Shell) -> None:
    Path("self.rpc").write_text(":source ./self.rpc\n")
    for line, says in (
        (":source self.rpc", "read itself"),
        (":source none", "No such file"),
        (":source .", "directory"),
    ):
        with pytest.raises(UsageError, match=says):
            shell.execute(line)
    assert shell.sources == ()


def test_source_of_a_line_to_leave_leaves(shell: Shell) -> None:
    Path("a.rpc").write_text(":quit\nping 1\n")
    with pytest.raises(Leave):
        shell.execute(":source a.rpc")


def test_vars_lists_what_there_is_and_hides_secrets(shell: Shell, output: Recording) -> None:
    shell.execute(":vars")
    assert "no variables yet" in output.texts.pop()
    for line in (
        'ping {"id": 1, "\x1b": 2}',
        'token = "abcdef"',
        'text = "a\u202eb"',
        "n = 1.5",
        "yes = true",
        "none = null",
        "a = [1]",
        f'long = "{"x" * 200}"',
    ):
        shell.execute(line)
    shell.execute(":vars")
    assert output.texts.pop().splitlines() == [
        "$_      object  id, \\x1b",
        "$token  string  ***",
        '$text   string  "a\\u202eb"',
        "$n      number  1.5",
        "$yes    boolean  true",
        "$none   null",
        "$a      array   1 item",
        f'$long   string  "{"x" * 59}…',
    ]
    shell.execute(":vars --clear")
    assert not shell.variables


@pytest.mark.parametrize(
    ("line", "name", "meaning"),
    [
        (':alias me ping {"a": -1, \'b\': "x y"} | cat', "me", 'ping {"a": -1, \'b\': "x y"} | cat'),
        (":alias me = ping a=-1", "me", "ping a=-1"),
        (":alias me=ping", "me", "ping"),
        (":alias :m :methods", ":m", ":methods"),
        (":alias out ping > f", "out", "ping > f"),
    ],
)
def test_alias_keeps_a_line_as_it_was_typed(shell: Shell, line: str, name: str, meaning: str) -> None:
    shell.execute(line)
    assert shell.aliases == {name: meaning}


def test_aliases_are_listed_shown_and_removed(shell: Shell, output: Recording) -> None:
    shell.execute(":alias")
    assert "no aliases yet" in output.texts.pop()
    shell.execute(":alias me ping 1")
    shell.execute(":alias login auth password=hunter2")
    shell.execute(":alias")
    assert output.texts.pop() == 'login  auth password="***"\nme     ping 1'
    shell.execute(":alias me")
    assert output.texts.pop() == "me  ping 1"
    shell.execute("me | cat > /dev/null")
    shell.execute(":alias --remove me")
    shell.execute(":alias -d login")
    assert not shell.aliases
    for line in (":alias me", ":alias me --remove", ":alias me -d", ":alias a{b ping"):
        with pytest.raises(UsageError):
            shell.execute(line)


def test_a_script_has_the_same_language(server: PeerServer) -> None:
    script = """\
u = ping {"id": 7, "tags": ["a", "b"]}
ping id=$u.id t=$"${u.tags[1]}!"   # both
$_.t | tr b c
$u.tags > tags.json
:alias again ping again=true
again
"""
    Path("a.rpc").write_text(script)
    expected = (0, '{"id":7,"t":"b!"}\n"c!"\n{"again":true}\n', "")
    assert run(server, "a.rpc") == run(server, stdin=script) == run(server, "-c", script) == expected
    assert Path("tags.json").read_text() == '["a","b"]\n'


def test_what_goes_wrong_in_a_script_has_its_place_and_ends_it(server: PeerServer) -> None:
    Path("a.rpc").write_text("u = ping {id: 7}\nping [\n  $u.name\n]\n")
    assert run(server, "a.rpc") == (2, "", "rpcshell: a.rpc:3:6: $u has no key name (there is id)\n")
    assert run(server, "-c", "ping 1 | grep -q 2", "-c", "ping 3") == (
        1,
        "",
        "rpcshell: `grep -q 2` ended with status 1\n",
    )
    code, out, err = run(server, "-c", ":source a.rpc")
    assert (code, out) == (2, "")
    assert err == (
        "a.rpc:2: the rest was not run, because of this:\n"
        "rpcshell: line 2, column 6 of `ping [\\x0a  $u.name\\x0a]`: $u has no key name (there is id)\n"
    )


def test_a_script_can_say_how_results_look(server: PeerServer) -> None:
    assert run(server, "-c", ":set format raw", "-c", 'ping "a b"')[:2] == (0, "a b\n")
