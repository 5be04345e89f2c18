import re
from pathlib import Path

import pytest

from rpcshell.client.errors import ConnectionFailed, NotConnected, SpawnFailed, UsageError
from rpcshell.commands import load_commands
from rpcshell.commands.guide import _CALLS
from rpcshell.line.language import parse
from rpcshell.shell.session import Leave
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server


@pytest.mark.parametrize("line", [":disconnect", ":methods", ":doc ping", "ping"])
def test_without_a_target_it_is_said_what_to_do(shell: Shell, line: str) -> None:
    with pytest.raises(NotConnected) as raised:
        shell.execute(line)
    assert ":spawn" in str(raised.value)
    assert ":connect" in str(raised.value)


def test_help_lists_every_command_by_group(shell: Shell, output: Recording) -> None:
    shell.execute(":help")
    shown = output.texts[0]
    for found in shell.commands:
        assert f"  :{found.name.partition(' ')[0]} " in shown.partition(f"\n{found.group}\n")[2]
    *lines, last = shown.splitlines()
    assert [line for line in lines[1:] if not line.startswith("  ")] == list(shell.commands.groups)
    assert ":help topics lists what else there is" in last
    assert len(lines) < 44
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize(("topic", "part"), [("calls", "ping <"), ("keys", "Ctrl-R"), ("topics", ":help keys")])
def test_help_has_topics(shell: Shell, output: Recording, topic: str, part: str) -> None:
    shell.execute(f":help {topic}")
    assert part in output.texts[0]
    assert all(len(line) <= 80 for line in output.texts[0].splitlines())


def test_help_shows_a_guide(shell: Shell, output: Recording) -> None:
    shell.execute(":help server")
    assert output.texts[0].startswith("The server\n\n")
    assert "SIGHUP" in output.texts[0]


def test_every_call_that_help_shows_can_be_read() -> None:
    assert [line for line, _ in _CALLS if parse(line).blocking is not None] == []


def test_every_example_of_a_command_can_be_read() -> None:
    examples = [example for found in load_commands() for example in found.examples]
    assert [example for example in examples if parse(example).problems] == []


@pytest.mark.parametrize("line", [":help spawn", ":help :spawn", ":spawn --help"])
def test_help_of_a_command_says_how_to_use_it(shell: Shell, output: Recording, line: str) -> None:
    shell.execute(line)
    assert output.texts[0].startswith("Usage: :spawn [options] [N] [APP]")
    assert ":spawn 10" in output.texts[0]


def test_help_of_what_there_is_not_brings_near_names(shell: Shell) -> None:
    with pytest.raises(UsageError, match="did you mean :help spawn"):
        shell.execute(":help spwan")
    with pytest.raises(UsageError, match="did you mean :help server"):
        shell.execute(":help servr")


@pytest.mark.parametrize("line", [":quit", ":exit", ":q"])
def test_quit_leaves(shell: Shell, line: str) -> None:
    with pytest.raises(Leave):
        shell.execute(line)


def test_a_connection_that_fails_leaves_the_shell_usable(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed):
        shell.execute(f":connect {tmp_path}/nobody.sock")
    with pytest.raises(UsageError, match="port"):
        shell.execute(":connect nonsense")


@needs_server
def test_connect_and_disconnect(shell: Shell, output: Recording, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.commands.server._INTRODUCTION", 10)
    shell.execute(f":connect {address}")
    assert output.notes == [f"connected to {address} · 1 sync worker"]
    shell.execute("ping 7")
    assert output.results[0].result == 7
    shell.execute(":version")
    assert re.fullmatch(rf"rpcshell .* Python .*\n{address} · native · demo .* · \d+ methods", output.texts[-1])
    shell.execute(":disconnect")
    assert output.notes[1:] == [f"disconnected from {address}"]
    assert shell.session.target is None


@needs_server
def test_methods_are_listed_with_their_summaries(shell: Shell, output: Recording, address: str) -> None:
    shell.execute(f":connect {address}")
    shell.execute(":methods")
    lines = output.texts[0].splitlines()
    names = [line.split()[0] for line in lines]
    assert names == sorted(shell.session.catalog.methods)
    assert any(line.startswith("  ping  ") and "Answer" in line for line in lines)
    assert (
        len(
            {
                line.index(shell.session.catalog.methods[line.split()[0]].summary[:5])
                for line in lines
                if "deprecated" not in line
            }
        )
        == 1
    )


@needs_server
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("order", ["order.get", "order.list", "order.place"]),
        ("PING", ["ping"]),
        ("*.get", ["order.get"]),
        ("?dd", ["add"]),
        ("number", ["add", "fib"]),
        ("look*", ["order.get"]),
    ],
)
def test_methods_can_be_narrowed(shell: Shell, output: Recording, address: str, pattern: str, names: list[str]) -> None:
    shell.execute(f":connect {address}")
    shell.execute(f":methods {pattern}")
    assert [line.split()[0] for line in output.texts[0].splitlines()] == names


@needs_server
def test_no_method_matches(shell: Shell, address: str) -> None:
    shell.execute(f":connect {address}")
    with pytest.raises(UsageError, match="no method matches 'zzz'"):
        shell.execute(":methods zzz")


@needs_server
def test_doc_explains_a_method_and_help_does_too(shell: Shell, output: Recording, address: str) -> None:
    shell.execute(f":connect {address}")
    shell.execute(":doc add")
    shell.execute(":help add")
    assert output.texts[0] == output.texts[1]
    assert output.texts[0].startswith("add(a: number, b: number = 0")
    with pytest.raises(UsageError, match="did you mean add"):
        shell.execute(":doc ad")


@needs_server
def test_the_example_of_every_demo_method_works(shell: Shell, output: Recording, address: str) -> None:
    from rpcshell.client.errors import CallError
    from rpcshell.commands.method_page import example_call

    shell.execute(f":connect {address}")
    shell.execute(":methods")
    for name, method in shell.session.catalog.methods.items():
        try:
            shell.execute(example_call(method))
        except CallError as error:
            assert name in {"fail", "order.get"}, error


@needs_server
def test_a_plain_target_cannot_say_what_it_offers(shell: Shell, address: str) -> None:
    shell.execute(f":connect {address} --plain")
    with pytest.raises(UsageError, match="does not say what it offers") as raised:
        shell.execute(":methods")
    assert raised.value.hint == f":connect {address} --refresh asks again"
    shell.execute(f":connect {address} --refresh")
    shell.execute(":methods")


@needs_server
def test_spawn_says_what_it_started_and_stop_ends_it(shell: Shell, output: Recording) -> None:
    shell.execute(":spawn 2")
    server = shell.session.server
    assert server is not None
    assert re.fullmatch(rf"2 workers \(sync\) on {re.escape(server.addresses[0])} in [\d.]+ m?s", output.texts[0])
    shell.execute("ping 7")
    with pytest.raises(UsageError, match=r"running already: 2 workers .*:stop ends it"):
        shell.execute(":spawn")
    shell.execute(":stop")
    assert server.poll() is not None
    assert output.notes == [f"stopped: 2 workers (sync) on {server.addresses[0]}, pid {server.pid}"]
    with pytest.raises(UsageError, match="no server was spawned here"):
        shell.execute(":stop")


@needs_server
def test_stop_ends_another_server_than_the_prompts_only_where_that_is_wanted(
    shell: Shell, output: Recording, address: str
) -> None:
    shell.execute(":spawn 1")
    server = shell.session.server
    assert server is not None
    shell.execute(f":connect {address}")
    with pytest.raises(UsageError, match=f"the prompt is at {address}, .* stop 1 worker .*--yes"):
        shell.execute(":stop")
    assert server.poll() is None
    shell.execute(":stop --yes")
    assert output.notes[-1].startswith("stopped: 1 worker (sync) on ")
    assert str(shell.session.target) == address


@needs_server
def test_spawn_takes_an_app_without_a_number(shell: Shell, output: Recording, tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text("def twice(x: int) -> int:\n    return 2 * x\n\nservice = {'twice': twice}\n")
    shell.execute(f":spawn calc.py --bind unix:{tmp_path}/calc.sock")
    assert f" on unix:{tmp_path}/calc.sock in " in output.texts[0]
    shell.execute("twice x=21")
    assert output.results[0].result == 42


@needs_server
def test_spawn_has_the_app_preloaded(shell: Shell, output: Recording, tmp_path: Path) -> None:
    shell.execute(":spawn 1 --preload")
    shell.execute(":workers")
    assert "stem pid" in output.notes[-1]


@pytest.mark.parametrize(
    ("line", "error"), [(":spawn x y", UsageError), (":spawn 0", UsageError), (":spawn 1 nowhere.py", SpawnFailed)]
)
def test_spawn_with_wrong_words_starts_nothing(shell: Shell, line: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        shell.execute(line)
    assert shell.session.server is None


def test_methods_are_listed_within_a_narrow_screen(
    shell: Shell, output: Recording, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shell.execute(f":connect {address}")
    shell.execute(":methods")
    assert max(len(line) for line in output.texts[-1].splitlines()) <= 40


def test_an_unknown_model_is_refused_with_those_there_are(shell: Shell) -> None:
    with pytest.raises(UsageError, match="'thread'"):
        shell.execute(":spawn 2 --model nonesuch")


def test_usage_says_what_an_option_takes(shell: Shell) -> None:
    with pytest.raises(UsageError) as raised:
        shell.execute(":spawn --nonsense")
    assert raised.value.hint == (
        "usage: :spawn [--model sync|thread|pool|fork|async] [--bind ADDRESS] [--preload] [--max-buffered SIZE]"
        " [--max-connection-age S] [--health ADDRESS] [--drain-settle S] [--proxy-protocol FROM]"
        " [--register URL] [--advertise HOST[:PORT]] [--register-credentials FILE] [--keep] [N] [APP]"
    )
