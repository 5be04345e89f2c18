"""What a call that does not work was meant as, and what everyone types at a prompt."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcshell.line.advice import advice
from rpcshell.line.catalog import Catalog
from rpcshell.line.habits import habit
from rpcshell.line.hint import problems
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings
from tests.rpcshell.line.language.strategies import line_texts
from tests.rpcshell.shop import CATALOG

_SERVER = {"properties": {"port": {"type": "string"}, "tls": {"type": "boolean"}}, "required": ["port"]}
_FILE = {
    "anyOf": [
        {"properties": {"kind": {"const": "nbd"}, "server": {"type": "object", **_SERVER}}, "required": ["server"]},
        {"properties": {"kind": {"const": "local"}, "name": {"type": "string"}}, "required": ["name"]},
        {"type": "string"},
    ]
}
_CATALOG = Catalog.from_openrpc(
    {
        "methods": [
            {
                "name": "add",
                "params": [
                    {"name": "a", "schema": {"type": "number"}, "required": True},
                    {"name": "b", "schema": {"type": "number"}},
                ],
            },
            {
                "name": "echo",
                "params": [
                    {"name": "text", "schema": {"type": "string"}, "required": True},
                    {"name": "upper", "schema": {"type": "boolean"}},
                ],
            },
            {"name": "now", "params": []},
            {"name": "open", "params": [{"name": "file", "schema": _FILE, "required": True}]},
        ]
    }
)
_METHODS = _CATALOG.methods


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("echo hi", ['echo text="hi"']),
        ('echo "hi"', ['echo text="hi"']),
        ("echo 'it''s'", []),
        ("echo 7", ['echo text="7"']),
        ("echo hello world", ['echo text="hello world"']),
        ("echo hi true", ['echo text="hi" upper=true', 'echo ["hi", true]', 'echo text="hi true"']),
        ('add {"a": "1", "b": 2}', ['add {"a": 1, "b": 2}']),
        ('add ["1", 2]', ["add [1, 2]"]),
        ('echo {"text": 7.50, "upper": "true"}', ['echo {"text": "7.50", "upper": true}']),
        ('open {file: {kind: "nbd", server: {port: 10809}}}', ['open {file: {kind: "nbd", server: {port: "10809"}}}']),
        ("open file={kind: nbd, server: {port: 1, tls: 7}}", []),
        ('add {"a": "one"}', []),
        ('open {"file": {"kind": "nbd"}}', []),
        ("add 1 2", ["add a=1 b=2", "add [1, 2]"]),
        ("add 1, 2", ["add a=1 b=2", "add [1, 2]"]),
        ("add(1,2)", ["add a=1 b=2", "add [1, 2]"]),
        ("add(a=1, b=2);", ["add a=1 b=2"]),
        ("add a = 1", ["add a=1"]),
        ("add a:1 b: 2", ["add a=1 b=2"]),
        ("add --a 1 --b=2", ["add a=1 b=2"]),
        ("add --a= 1", ["add a=1"]),
        ("add 1 --b=", []),
        ("add a:=1 b:=2", ["add a=1 b=2"]),
        ("add b 2 a 1", ["add b=2 a=1"]),
        ("add -1 b=2", ["add a=-1 b=2"]),
        ("add a=1, b=2", ["add a=1 b=2"]),
        ("echo text=hi upper=True", ['echo text="hi" upper=true']),
        ("add 1 2 3", []),
        ("add one", []),
        ("add(1,2", []),
        ("now()", ["now"]),
        (
            "open file.kind=nbd file.server.port=80 file.server.tls=true",
            ['open file={"kind": "nbd", "server": {"port": "80", "tls": true}}'],
        ),
        ("open file.kind=local file.name=80", ['open file={"kind": "local", "name": "80"}']),
        ("open file=a file.kind=nbd", []),
        ("open file.kind.a=1 file.kind=nbd", []),
        ("open file.=1", []),
        ("open " + "file" + ".a" * 900 + "=1", []),
        ("add a=1 --a=2", []),
        ('add a="1" a=2', []),
        ("nonesuch 1 2", []),
        ("", []),
    ],
)
def test_a_line_of_another_tool_is_told_as_the_schema_has_it(line: str, meant: list[str]) -> None:
    assert advice(line, _METHODS.get) == meant


def test_json_with_a_mistake_in_it_is_not_meant_as_a_text() -> None:
    assert advice("ping {'a': [1 2]}", CATALOG.methods.get) == []
    assert advice("ping two words", CATALOG.methods.get)


def test_words_of_python_are_meant_as_those_of_json() -> None:
    assert advice("ping None", CATALOG.methods.get)[0] == "ping null"


WORDS = st.sampled_from(
    [
        "1",
        '"x"',
        "x",
        "True",
        "None",
        "a=1",
        "--a=1",
        "text=5",
        "file.kind=nbd",
        "file.server.port=1",
        "{'a': 1}",
        "é",
        ",",
    ]
)
MISTAKEN = st.tuples(st.sampled_from(sorted(_METHODS)), st.lists(WORDS, max_size=3)).map(
    lambda parts: " ".join([parts[0], *parts[1]])
)


@example("add 1 2")
@given(MISTAKEN | line_texts.map(lambda text: f"add {text.replace('$', '')}"))
def test_what_is_advised_can_be_run(text: str) -> None:
    for found in advice(text, _METHODS.get):
        line = parse(found)
        assert line.blocking is None
        assert list(problems(line, None, Surroundings(_CATALOG))) == []


@pytest.mark.parametrize(
    ("line", "run", "said"),
    [
        ("exit", ":quit", ""),
        (" quit() ", ":quit", ""),
        (r"\q", ":quit", ""),
        ("exit 1", "", ":quit leaves, and takes no exit code"),
        ("exit all", None, None),
        ("?", ":help", ""),
        (r"\?", ":help", ""),
        ("help ping", ":help ping", ""),
        ("help a b", None, None),
        ("ls -l", "", ":methods lists the methods, !ls -l the files"),
        (r"\d ping", "", ":doc ping explains a method"),
        ("desc ping", "", ":doc ping explains a method"),
        ("SHOW methods;", "", ":methods lists the methods"),
        (r"\c localhost:8080", "", ":connect localhost:8080 does that"),
        ("GET /order/list", "", "a line begins with the method, as in order.list a=1"),
        ("!!", "", "Up is the line before, Ctrl-R searches, and :history lists the calls"),
        ("!5", "", "Up is the line before, Ctrl-R searches, and :history lists the calls"),
        ("!5ls", None, None),
        ("clear", "", "Ctrl-L clears the screen"),
        ("grep x y", "", "!grep x y is run by the system's shell"),
        ("exit_status", None, None),
        ("rpcshell --spawn 4", "", ":spawn 4 does that"),
        ("rpcshell --spawn=4 --app calc.py --model async", "", ":spawn 4 calc.py --model async does that"),
        ("rpcshell 8080", "", ":connect 8080 does that"),
        ("rpcshell 8080 add a=1", "", ":connect 8080 does that, and then add a=1"),
        ("rpcshell --version", "", "this is rpcshell, and :help lists what can be typed"),
    ],
)
def test_habits_of_other_programs_are_known(line: str, run: str | None, said: str | None) -> None:
    found = habit(line)
    assert (found and found.line, found and found.say) == (run, said)
