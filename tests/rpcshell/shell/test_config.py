"""The configuration: what a file may say, and where a bad one is bad."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import Envelope, ServersetTarget, Target, TcpTarget, TlsFiles, TlsTarget, UnixTarget, UsageError
from rpcshell.shell.config import Config, ConfigProblem
from rpcshell.shell.config_reading import load_config, usable_config
from rpcshell.shell.config_reference import DIALECTS, config_reference
from rpcshell.shell.config_text import parse_config
from rpcshell.shell.target_config import TargetConfig
from rpcshell.view.settings import Settings
from tests.rpcshell.enveloped import TABLES
from tests.steps import steps


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_a_file_is_read_whole(file: Path) -> None:
    file.write_text(
        """\
[settings]
format = "table"
max-rows = 5
time = false

[targets]
local = "8080"

[targets.fleet]
address = "zk://h/calc"
registry-credentials = "reader.toml"

[targets.prod]
address = "tls://rpc.example.org:8443"
tls-ca = "ca.pem"
tls-cert = "/etc/me.pem"
plain = true
timeout = 2

[aliases]
w = ":watch 1"

[keys]
f5 = ":methods"
"""
    )
    config = load_config(file)
    assert config.settings == {"format": "table", "max_rows": 5, "time": False}
    assert config.targets["local"].target_among({}) == TcpTarget("localhost", 8080)
    reader = str(file.parent / "reader.toml")
    assert config.targets["fleet"].target_among({}) == ServersetTarget("zk://h:2181/calc", credentials=reader)
    prod = config.targets["prod"]
    assert prod.target_among({}) == TlsTarget("rpc.example.org", 8443)
    assert prod.tls == TlsFiles(str(file.parent / "ca.pem"), "/etc/me.pem")
    assert (prod.plain, prod.timeout) == (True, 2.0)
    assert config.aliases == {"w": ":watch 1"}
    assert config.keys == {"f5": ":methods"}
    problem = config.problem("settings", "max_rows", UsageError("no", hint="yes"))
    assert str(problem) == f"{file}:3: no (yes)"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            "[settings]\nformat = \n",
            2,
            "this is not TOML at column 10: no value begins here; a text has quotes around it",
        ),
        ('[settings]\nformat = "json\n', 2, "this is not TOML at column 15: the quote is not closed on its line"),
        ("[settings]\nformat = 'json\n'", 2, "this is not TOML at column 15: the quote is not closed on its line"),
        ("[targets]\n\n[targets.prod\n", 3, "this is not TOML"),
        ('a = """', 1, "this is not TOML"),
        ("[setings]\n", 1, "'setings' is no part of a configuration (did you mean settings?)"),
        ("\ntargets = 1\n", 2, "targets is a table"),
        ("theme = 'dark'\n", 1, "'theme' is no part of a configuration (a setting stands below [settings])"),
        ("[dev]\naddress = '8080'\n", 1, "'dev' is no part of a configuration (did you mean [targets.dev]?)"),
        ("[connections]\n", 1, "(there are targets, dialects, settings, keys, aliases)"),
        ("[targets]\na = 1\n", 2, "targets.a is an address in quotes, or a table, not a whole number"),
        ("[targets]\n'a b' = '8080'\n", 2, "'a b' is no name for a target"),
        ("[targets]\n8080 = '8081'\n", 2, "'8080' is no name for a target"),
        ("[targets]\nprod = 'nowhere'\n", 2, "target 'nowhere' has no port"),
        ("[targets.prod]\naddress = 'x:1'\ntimeout = '5'\n", 3, "targets.prod.timeout is a number, not a text"),
        ("[targets.prod]\naddress = 'x:1'\ntimeout = -1\n", 3, "above 0"),
        ("[targets.prod]\naddress = 'x:1'\ntls_ca = 'ca'\n", 3, "tls_ca means nothing (did you mean tls-ca?)"),
        ("[targets.prod]\nplain = true\n", 1, "targets.prod has no address and no command"),
        ("[targets.a]\naddress = 'x:1'\ndialect = 'x'\n", 3, "there is no dialect 'x'"),
        ("[targets.a]\naddress = 'x:1'\ndialect = 'jsonrpc+x'\n", 3, "has no framing 'x'"),
        ("[targets.a]\naddress = 'jsonrpc:x:1'\ndialect = 'jsonrpc1'\n", 2, "has several colons"),
        ("[targets.a]\naddress = 'x:1'\ncommand = ['x']\n", 3, "targets.a has an address and a command"),
        ("[targets.a]\ncommand = ['x']\n", 2, "targets.a has a command but no dialect"),
        ("[targets.a]\ndialect = 'jsonrpc'\ncommand = []\n", 3, "a command without a program"),
        ("[targets.a]\ndialect = 'jsonrpc'\ncommand = ['x', 1]\n", 3, "what is in targets.a.command is a text"),
        ("[targets.a]\ndialect = 'jsonrpc'\ncommand = 'x'\n", 3, "targets.a.command is a list, not a text"),
        ("[targets.a]\ndialect = 'jsonrpc'\ncommand = ['x']\nenv = {A = 1}\n", 4, "what is in targets.a.env is a text"),
        (
            "[targets.a]\naddress = 'x:1'\n[targets.a.env]\nA = 'b'\n",
            3,
            "has env, which is for a target with a command",
        ),
        ("[targets.a]\naddress = 'x:1'\nheaders = {A = 'b'}\n", 3, "has headers, which is for an address with http"),
        (
            "[targets.a]\naddress = 'mcp:exec:x'\nheaders = {A = 'b'}\n",
            3,
            "has headers, which is for an address with h",
        ),
        (
            "[targets.a]\naddress = 'http://x'\ndialect = 'jsonrpc'\nheaders = {'A B' = 'c'}\n",
            4,
            "is no header of HTTP",
        ),
        (
            "[targets.a]\naddress = 'x:1'\nregistry-credentials = 'c'\n",
            3,
            "has registry-credentials, which is for an address with zk://",
        ),
        ("targets.prod.address = 'x'\n", 1, "has no port"),
        ("[dialects]\na = 1\n", 2, "dialects.a is a table, not a whole number"),
        ("[dialects.mcp]\nrequest = ['$method']\n", 1, "mcp is a dialect of rpcshell's own"),
        ("[dialects.unix]\nrequest = ['$method']\n", 1, "'unix' is no name for a dialect"),
        ("[dialects.'a-b']\nrequest = ['$method']\n", 1, "'a-b' is no name for a dialect"),
        ("[dialects.a]\nframing = 'line'\n", 1, "dialects.a has no request"),
        ("[dialects.a]\nframing = 'line'\nrequest = {a = 1}\n", 3, "dialects.a.request has no $method"),
        ("[dialects.a]\nrequest = ['$method', '$id']\n", 1, "dialects.a.reply has no id"),
        ("[dialects.a]\nrequest = ['$method']\nframing = 'x'\n", 3, "dialects.a.framing is no way to tell messages"),
        ("[dialects.a]\nrequest = '$method'\n", 2, "dialects.a.request is a table or a list, not a text"),
        (
            "[dialects.a]\nrequest = ['$method']\none_call = true\n",
            3,
            "one_call means nothing (did you mean one-call?)",
        ),
        (
            "[dialects.a]\nrequest = ['$method']\nreply = { eror = 'x' }\n",
            3,
            "dialects.a.reply.eror means nothing (did you mean error?)",
        ),
        ("[dialects.a]\nrequest = ['$method']\nreply = { error = 1 }\n", 3, "dialects.a.reply.error is a text"),
        (
            "[dialects.a]\nrequest = ['$method']\n[dialects.a.event]\nname = 'x'\n",
            3,
            "dialects.a.event needs either a key or what it has",
        ),
        ("[dialects.a]\nrequest = ['$method']\nnames = { path = 'x' }\n", 3, "dialects.a.names has no method"),
        ("[dialects.a]\nrequest = ['$method']\n[targets.b]\naddress = 'b:x:1'\n", 4, "has several colons"),
        ("[aliases]\nw = 1\n", 2, "aliases.w is a text in quotes"),
        ("[aliases]\n':w' = 'x'\n", 2, "no word for an alias"),
        ("[aliases]\nw = ' '\n", 2, "stands for nothing"),
        ("[settings]\nformat = ['a']\n", 2, "settings.format is a text, a number, or true or false"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(file: Path, text: str, line: int, says: str) -> None:
    file.write_text(text)
    (problem,) = load_config(file).problems
    assert str(problem).startswith(f"{file}:{line}: ")
    assert says in str(problem)
    assert "\n" not in str(problem)
    with pytest.raises(ConfigProblem, match=re.escape(problem.message)):
        usable_config(file)


_GOOD = """\
[settings]
format = "table"
[targets.dev]
address = "8080"
timeout = 2
[targets.prod]
address = "h:1"
[aliases]
w = ":watch 1"
"""


@pytest.mark.parametrize(
    ("good", "bad", "line", "says", "lost"),
    [
        ("timeout = 2", "timout = 2", 5, "did you mean timeout?", ""),
        ("timeout = 2", "timeout = 2s", 5, "not TOML", ""),
        ("timeout = 2", "timeout = '2'", 5, "is a number, not a text", "dev"),
        ('"8080"', '"localhost"', 4, "has no port", "dev"),
        ("[targets.dev]", "[targets.dev", 3, "not TOML", "dev"),
        ('address = "8080"', 'address = "8080', 4, "not TOML", "dev"),
        ('address = "8080"', 'command = ["x"', 4, "not TOML, as line 5 shows", "dev"),
        ("[targets.prod]", "[target.prod]", 6, "did you mean targets?", "prod"),
        ('"table"', "table", 2, "not TOML", "format"),
        ("[aliases]", "[[aliases]]", 8, "aliases is a table", "w"),
    ],
)
def test_the_rest_of_a_file_with_a_mistake_holds(
    file: Path, good: str, bad: str, line: int, says: str, lost: str
) -> None:
    file.write_text(_GOOD.replace(good, bad))
    config = load_config(file)
    assert str(config.problems[0]).startswith(f"{file}:{line}: ")
    assert says in str(config.problems[0])
    kept = {*config.settings, *config.targets, *config.aliases}
    assert kept == {"format", "dev", "prod", "w"} - {lost}
    assert all(problem is config.problems[0] for problem in config.refused.values())


@pytest.mark.parametrize(
    "row",
    [
        "[settings.a{}]\nx = 1\n",
        "[targets.a{}]\nadress = '1'\n",
        "timeout{} = 1\n",
        "[targets.a{}]\naddress = x\n",
    ],
)
def test_many_mistakes_take_as_long_as_there_are_mistakes(row: str) -> None:
    few, many = ("".join(map(row.format, range(count))) for count in (50, 200))
    parse_config(Path("c.toml"), few)  # what it imports is no part of it
    assert steps(lambda: parse_config(Path("c.toml"), many)) < 5 * steps(lambda: parse_config(Path("c.toml"), few))


def test_any_number_of_keys_of_a_target_may_mean_nothing() -> None:
    rows = "".join(f"timeuot{number} = 1\n" for number in range(2000))
    config = parse_config(Path("c.toml"), f"[targets.a]\n{rows}address = '8080'\n")
    assert [problem.line for problem in config.problems] == [*range(2, 2002)]
    assert str(config.targets["a"].target_among({})) == "localhost:8080"


def test_of_a_file_that_is_no_toml_the_rest_is_left_out_after_a_while() -> None:
    config = parse_config(Path("c.toml"), "".join(f"[targets.a{number}]\naddress = 8080x\n" for number in range(50)))
    assert str(config.problems[-1]) == "c.toml:41: the rest is left out, as so much before it is not TOML"
    assert len(config.problems) == 21


def test_a_pipe_is_read_where_somebody_writes_to_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigProblem, match="it is a pipe, and nobody writes to it"):
        load_config(pipe)
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "wb") as stream:
        stream.write(b"[aliases]\np = 'ping 1'\n")
        stream.close()
        assert load_config(f"/dev/fd/{reader}").aliases == {"p": "ping 1"}


def test_a_file_may_begin_with_a_mark_of_its_encoding(file: Path) -> None:
    file.write_text("\ufeff[aliases]\np = 'ping 1'\n", encoding="utf-8")
    assert load_config(file).aliases == {"p": "ping 1"}
    file.write_text("\ufeff[aliases]\np = 1\n", encoding="utf-8")
    assert ":2: " in str(load_config(file).problems)


def test_a_file_that_cannot_be_read_is_said(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="there is no such file"):
        load_config(file)
    with pytest.raises(ConfigProblem, match="cannot be read: is a directory"):
        load_config(tmp_path)
    file.write_bytes(b"[keys]\na = '\xe9'\n")
    with pytest.raises(ConfigProblem, match=r":2: it is not UTF-8"):
        load_config(file)
    file.write_text(f"a = {'[' * 5000}{']' * 5000}")
    assert ": it is nested too deeply" in str(load_config(file).problems)
    file.write_text(f"a = {'9' * 5000}")
    assert ": it is not TOML: " in str(load_config(file).problems)


def test_the_place_of_the_file_may_come_from_the_environment(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("RPCSHELL_CONFIG", raising=False)
    folder = tmp_path / "rpcshell"
    assert load_config() == Config(path=folder / "config.toml")
    folder.mkdir()
    (folder / "config.toml").write_text("aliases.w = 'x'")
    assert load_config().aliases == {"w": "x"}
    monkeypatch.setenv("RPCSHELL_CONFIG", "")
    assert load_config() == Config()
    monkeypatch.setenv("RPCSHELL_CONFIG", str(file))
    with pytest.raises(ConfigProblem):
        load_config()


def test_the_reference_changes_nothing_as_it_is_and_is_right_without_its_comment_marks(file: Path) -> None:
    file.write_text(config_reference())
    as_it_is = load_config(file)
    assert (as_it_is.targets, as_it_is.settings, as_it_is.aliases, as_it_is.keys) == ({}, {}, {}, {})
    assert as_it_is.dialects == {}
    file.write_text(re.sub(r"(?m)^# (?=\[|[\w-]+ = |# )", "", config_reference()))
    config = load_config(file)
    settings = Settings()
    assert set(config.settings) == set(settings.names)
    for name, value in config.settings.items():
        before = settings.text(name)
        settings.set(name, value)
        assert settings.text(name) == before
    assert set(config.targets) == {"local", "prod", "tools", "code", "api", "fleet"}
    defaults, described = TargetConfig("x:1"), list(config.targets.values())[1:]
    for name in TargetConfig.__struct_fields__:
        assert any(getattr(target, name) != getattr(defaults, name) for target in described), name
    assert config.aliases
    assert config.keys
    assert config.dialects.keys() == {"mine", *DIALECTS}
    usual, mine = Envelope(request={"m": "$method"}), config.dialects["mine"]
    for name in Envelope.__struct_fields__:
        assert getattr(mine, name) != getattr(usual, name), name
    for name, (_, table) in DIALECTS.items():
        assert config.dialects[name] == Envelope.from_table(table)


def test_targets_speak_dialects_of_the_same_file(file: Path) -> None:
    file.write_text(
        """\
[targets.dhcp]
address = "unix:/run/kea.sock"
dialect = "kea"

[targets.other]
address = "kea+line:h:1"

[dialects.kea]
request = { command = "$method" }
"""
    )
    config = load_config(file)
    assert config.targets["dhcp"].target_among(config.dialects) == UnixTarget("/run/kea.sock", dialect="kea")
    assert config.targets["other"].target_among(config.dialects) == TcpTarget("h", 1, dialect="kea+line")


def test_a_host_may_be_called_as_a_dialect_of_the_configuration() -> None:
    dialects = {"kea"}
    spoken = Target.parse("kea:8080", dialects)
    assert spoken == TcpTarget("localhost", 8080, dialect="kea")
    host = Target.parse("tcp://kea:8080", dialects)
    assert (host.dialect, str(host)) == ("", "tcp://kea:8080")
    fleet = Target.parse("tcp://kea:1,kea:2", dialects)
    for target in (spoken, host, fleet):
        assert Target.parse(str(target), dialects) == target
    with pytest.raises(UsageError, match="there is no dialect 'kea'"):
        Target.parse("kea:unix:/run/kea.sock")


def toml(value: Any) -> str:
    match value:
        case dict():
            return f"{{ {', '.join(f'{json.dumps(key)} = {toml(inner)}' for key, inner in value.items())} }}"
        case list():
            return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


@given(TABLES)
def test_any_table_of_a_dialect_is_one_or_one_line_with_its_place(table: dict[str, Any]) -> None:
    lines = ["[dialects.mine]", *(f"{key} = {toml(value)}" for key, value in table.items()), ""]
    config = parse_config(Path("c.toml"), "\n".join(lines))
    if config.problems:
        for error in config.problems:
            assert re.match(r"c\.toml:[1-9]\d*: dialects\.mine", error.message)
            assert "\n" not in str(error)
    else:
        assert config.dialects["mine"] == Envelope.from_table(table)


@given(st.text(max_size=60) | st.text("[]targetskeys.='\"\n 0{}", max_size=60))
def test_any_text_is_a_configuration_or_lines_of_what_is_wrong(text: str) -> None:
    for problem in parse_config(Path("c.toml"), text).problems:
        assert problem.message.startswith("c.toml")
