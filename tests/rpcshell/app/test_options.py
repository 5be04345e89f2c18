"""The usual command lines, which are read without click, mean what they mean to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rpcshell.app.arguments import read_arguments
from rpcshell.app.options import Options, plain_options
from rpcshell.client.errors import UsageError
from rpcshell.client.target import ServersetTarget, TlsFiles

pytestmark = pytest.mark.usefixtures("state")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["8080"],
        ["jsonrpc+line:127.0.0.1:8080"],
        ["8080", "ping"],
        ["8080", "add", "a=1", "b=two words"],
        ["8080", "-c", "ping"],
        ["-c", "ping", "8080"],
        ["8080", "-c", "ping a=1", "-c", "two # -c"],
        ["-c", "", "-c", ":set"],
        ["8080", "calls.rpc"],
        ["./calls.rpc"],
    ],
)
def test_words_and_lines_are_read_as_click_reads_them(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls.rpc").write_text("ping\n")
    options = plain_options(arguments)
    assert options is not None
    assert options == read_arguments(arguments)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["echo", "text=a times=3"], 'echo text="a times=3"'),
        (["echo", "text=no # comment"], 'echo text="no # comment"'),
        (["echo", "text=a\nb=2"], r'echo text="a\nb=2"'),
        (["echo", "text=$x | rm y"], 'echo text="$x | rm y"'),
        (["ping", "{a:", "1}"], "ping {a: 1}"),
        (["ping", "a:=[1, 2]", "b="], 'ping a=[1, 2] b=""'),
        (["add", "1", "2"], "add 1 2"),
        (["ping | cat"], "ping | cat"),
        ([":help", "ping"], ":help ping"),
    ],
)
def test_a_word_is_one_param_whatever_is_in_it(words: list[str], line: str) -> None:
    options = plain_options(["8080", *words])
    assert options is not None
    assert options.lines == (line,)


@pytest.mark.parametrize(
    "words",
    [
        [""],
        ["", "ping"],
        ["ping", ""],
        ["ping", "a:=1 | rm x"],
        ["ping", "a:=1 b=2"],
        ["ping", "a:=1 # b"],
        ["ping", '{"a":1} | rm x'],
        ["ping", "#a"],
        ["ping", "|", "rm", "x"],
        ["ping", ">", "x"],
        ["echo", "=x"],
        ["x", "=", "ping"],
        ["ping", "1\n!rm x"],
        [":help", "ping\n!rm x"],
    ],
)
def test_a_word_cannot_be_more_than_a_param(words: list[str]) -> None:
    with pytest.raises(UsageError, match=r"not empty|more than params|not one value"):
        plain_options(["8080", *words])


@pytest.mark.parametrize(
    "arguments",
    [
        ["-h"],
        ["8080", "-c"],
        ["-c", "--"],
        ["-c", "-c"],
        ["8080", "-cping"],
        ["8080", "-kc", "ping"],
        ["mcp", "--", "server"],
        ["8080", "-"],
    ],
)
def test_what_else_begins_with_a_hyphen_is_left_to_click(arguments: list[str]) -> None:
    assert plain_options(arguments) is None


@pytest.mark.parametrize("read", [plain_options, read_arguments])
@pytest.mark.parametrize("arguments", [["no target"], ["8080", "ping", "-c", "ping"], ["8080", "none.rpc"]])
def test_what_makes_no_sense_makes_none_to_either(
    read: Callable[[list[str]], Options | None], arguments: list[str]
) -> None:
    with pytest.raises(UsageError):
        read(arguments)


@pytest.mark.parametrize("target", ["tls://h:1,h:2", "zk://h/calc", "zks://h/calc", "srv+tls://_rpc._tcp.calc"])
def test_files_for_tls_go_to_fleets_that_may_speak_it(target: str) -> None:
    options = read_arguments(["--tls-ca", __file__, target])
    assert options is not None
    assert options.tls == TlsFiles(ca=__file__)


@pytest.mark.parametrize("target", ["h:1,h:2", "srv://_rpc._tcp.calc", "dns://calc:1"])
def test_fleets_that_speak_no_tls_take_no_files_for_it(target: str) -> None:
    with pytest.raises(UsageError, match="for a target with TLS"):
        read_arguments(["--tls-ca", __file__, target])


def test_credentials_go_to_fleets_that_zookeeper_knows(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[targets]\ncalc = 'zk://h/calc'\none = 'h:1'\n")
    given = ["--config", str(config), "--registry-credentials", __file__]
    expected = ServersetTarget("zk://h:2181/calc", credentials=__file__)
    for word in ("zk://h/calc", "calc"):
        options = read_arguments([*given, word])
        assert options is not None
        target = options.target
        assert (options.config.targets[target].target_among({}) if isinstance(target, str) else target) == expected
    for word in ("h:1", "one"):
        with pytest.raises(UsageError, match="servers that ZooKeeper knows"):
            read_arguments([*given, word])


def test_a_negative_number_is_a_param() -> None:
    options = plain_options(["8080", "add", "-1", "a=-2"])
    assert options is not None
    assert options.lines == ("add -1 a=-2",)
    assert plain_options(["8080", "-1"]) is None


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (
            ["8080", "ls", "-la"],
            "a param that begins with - stands behind --, after all options: rpcshell 8080 ls -- -la",
        ),
        (["8080", "ls", "-x", "--debug"], "a param that begins with - stands behind --, after all options"),
        (["8080", "-x"], "rpcshell --help lists what there is"),
        (["--formt", "json"], "rpcshell --help lists what there is"),
        (["--format", "tabel"], "did you mean table?"),
    ],
)
def test_a_refused_option_leads_on(arguments: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_arguments(arguments)
    assert caught.value.hint == hint


@pytest.mark.parametrize("read", [plain_options, read_arguments])
def test_a_command_without_a_target_runs_as_a_line_does(read: Callable[[list[str]], Options | None]) -> None:
    options = read([":help", "server"])
    assert options is not None
    assert (options.target, options.lines) == (None, (":help server",))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["help"], "rpcshell --help does that"),
        (["spawn", "10"], "rpcshell --spawn 10 does that"),
        ([":spawn", "10"], "rpcshell --spawn 10 does that"),
        (["calc.py"], "--spawn 10 --app calc.py serves it"),
        (["./calc.py:service", "ping"], "--spawn 10 --app ./calc.py:service serves it"),
        (["--spawn", "2", "calc.py"], "--app calc.py serves it"),
    ],
)
def test_words_that_are_no_target_lead_on(
    arguments: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calc.py").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        read_arguments(arguments)
    assert caught.value.hint == hint
