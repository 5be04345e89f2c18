import pytest

from rpcshell.client.errors import CallError, UsageError
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server


@needs_server
def test_calls_are_listed_with_what_came_of_them(shell: Shell, output: Recording, address: str) -> None:
    shell.execute(f":connect {address}")
    shell.execute('ping {\n  "a": 1\n}')
    with pytest.raises(CallError):
        shell.execute("fail code=77")
    shell.execute("add a=1 b=2")
    shell.execute("ping password=hunter22")
    shell.execute(":history")
    rows = [row.split() for row in output.texts[-1].splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0][2] == "ok"
    assert rows[0][5:] == ["ping", "{", '"a":', "1", "}"]
    assert rows[1][2:4] == ["error", "77"]
    assert rows[3][-1] == 'password="***"'

    for arguments, numbers in (("add", ["3"]), ("-n 2", ["3", "4"]), ("PING -n 1", ["4"]), ("'*=2'", ["3"])):
        shell.execute(f":history {arguments}")
        assert [row.split()[0] for row in output.texts[-1].splitlines()] == numbers
    with pytest.raises(UsageError, match="nothing matches 'hunter22'"):
        shell.execute(":history hunter22")


def test_without_calls_it_says_so(shell: Shell) -> None:
    with pytest.raises(UsageError, match="no calls were made yet"):
        shell.execute(":history")


def test_lines_are_listed_without_their_secrets(shell: Shell, output: Recording) -> None:
    shell.lines = lambda: ["ping 1", ":spawn 10", "add \x1b[2J", "a\nb", "ping password=hunter22"]
    shell.execute(":history --lines")
    assert output.texts[-1].splitlines() == ["ping 1", ":spawn 10", "add \\x1b[2J", "a b", 'ping password="***"']
    shell.execute(":history --lines :sp -n 1")
    assert output.texts[-1] == ":spawn 10"
    with pytest.raises(UsageError, match="nothing matches"):
        shell.execute(":history --lines hunter22")


def test_a_script_has_no_lines_to_list(shell: Shell) -> None:
    with pytest.raises(UsageError, match="a script has none"):
        shell.execute(":history --lines")
