"""Lines that are none as they stand, at a prompt and in a script, with the demo's server behind them."""

from __future__ import annotations

import pytest

from rpcshell.client.errors import CallError, SyntaxProblem, UsageError
from rpcshell.commands import load_commands
from rpcshell.shell.session import Leave, Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server

pytestmark = needs_server


@pytest.fixture
def connected(shell: Shell, address: str) -> Shell:
    shell.execute(f":connect {address}")
    shell.session.method("")
    return shell


def test_what_everyone_types_is_done_or_said_and_not_sent(connected: Shell, output: Recording) -> None:
    for line in ("exit", "quit()", r"\q"):
        with pytest.raises(Leave):
            connected.execute(line)
    for line in ("?", "help", r"\?", "help add"):
        connected.execute(line)
    assert [text.partition("\n")[2][:4] for text in output.texts[:3]] == ["Talk"] * 3
    assert output.texts[3].startswith("add(a: number")
    for line, said in (
        ("ls", ":methods lists"),
        ("connect 8080", ":connect 8080 is"),
        ("rpcshell --spawn 4", ":spawn 4"),
        ("clear", "Ctrl-L"),
        ("exit 3", ":quit leaves, and takes no exit code"),
        ("quit now", ":quit is the command, and takes nothing more"),
        ("exit | cat", r":exit \| cat is the command"),
        ("workers -x", ":workers is the command, and takes nothing more"),
        ("stop --yes", ":stop --yes is the command"),
    ):
        with pytest.raises(UsageError, match=said):
            connected.execute(line)
    assert len(connected.journal) == 0


def test_a_method_of_such_a_name_is_called(connected: Shell) -> None:
    with pytest.raises(CallError):
        connected.execute('"exit"')
    connected.aliases["quit"] = "ping 1"
    connected.execute("quit")
    assert [call.method for call in connected.journal] == ["exit", "ping"]


def test_a_script_leaves_by_the_same_words_and_explains_methods(address: str) -> None:
    session = Session(background=False)
    output = Recording()
    shell = Shell(session, output, load_commands)
    try:
        session.connect(address)
        with pytest.raises(Leave):
            shell.execute("exit")
        shell.execute(":help add")
        assert output.texts[-1].startswith("add(a: number")
        session.connect(address, plain=True)
        # A server that does not say what it has may have that.
        with pytest.raises(CallError):
            shell.execute("exit")
    finally:
        session.close()


@pytest.mark.parametrize(
    ("line", "error", "meant"),
    [
        ("echo hi", SyntaxProblem, '`echo text="hi"`'),
        ("add 1 2", SyntaxProblem, "`add a=1 b=2` or `add [1, 2]`"),
        ("add(1,2)", UsageError, "`add a=1 b=2` or `add [1, 2]`"),
        ('echo "hi"', CallError, '`echo text="hi"`'),
        ('echo {"text": 7}', CallError, '`echo {"text": "7"}`'),
        ("order.place widget 2", SyntaxProblem, "call it as order.place("),
        ("ping --password hunter2", SyntaxProblem, "***"),
    ],
)
def test_an_error_tells_the_line_that_would_have_worked(
    connected: Shell, line: str, error: type[UsageError], meant: str
) -> None:
    with pytest.raises(error) as raised:
        connected.execute(line)
    assert raised.value.hint is not None
    assert meant in raised.value.hint


def test_no_line_that_would_have_worked_tells_a_secret(connected: Shell) -> None:
    with pytest.raises(SyntaxProblem) as raised:
        connected.execute("ping password hunter2")
    assert raised.value.hint == 'did you mean `ping ["password", "***"]` or `ping "password ***"`?'
    with pytest.raises(UsageError) as refused:
        connected.execute("use tls://me:hunter2@host")
    assert refused.value.hint == ":connect tls://me:*** does that"
