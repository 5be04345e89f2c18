from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rpcshell import CallError, NotConnected, ShellError, SyntaxProblem, UsageError
from rpcshell.commands import load_commands
from rpcshell.shell.call import Call
from rpcshell.shell.output import Output
from rpcshell.shell.session import Leave, Session
from rpcshell.shell.shell import Shell
from rpcshell.view.settings import Settings
from tests.rpcshell.peers import Peer, echo, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shown(Output):
    """An output that keeps what it was to show."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.values: list[tuple[str, object]] = []
        self.timings: list[str] = []
        self.texts: list[str] = []

    def result(self, call: Call) -> None:
        self.results.append(call.result)

    def value(self, name: str, value: object) -> None:
        self.values.append((name, value))

    def timing(self, call: Call) -> None:
        self.timings.append(call.method)

    def text(self, text: str) -> None:
        self.texts.append(text)

    def note(self, text: str) -> None:
        self.texts.append(text)

    def error(self, error: ShellError) -> None:
        raise error


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def shell(shown: Shown) -> Iterator[Shell]:
    session = Session(background=False, settings=Settings(script=True))
    yield Shell(session, shown, load_commands)
    session.close()


DOCUMENT = {
    "openrpc": "1.3.2",
    "info": {"title": "t", "version": "1"},
    "methods": [
        {
            "name": "tag",
            "params": [{"name": "text", "schema": {"type": "string"}}, {"name": "n", "schema": {"type": "integer"}}],
        }
    ],
}


def typed(peer: Peer) -> None:
    while (request := peer.read()) is not None:
        discover = request["in"] == "rpc.discover"
        peer.send({"out": "tagged", "result": DOCUMENT if discover else request["params"]})


@pytest.mark.parametrize(
    ("line", "params"),
    [
        ('ping {"a":1}', {"a": 1}),
        ('ping <"a":1>', {"a": 1}),
        ("ping [1, 2]", [1, 2]),
        ("ping {a: 'x',}", {"a": "x"}),
        ('ping {"a":\n1}', {"a": 1}),
    ],
)
def test_a_call_shows_its_result_and_asks_for_no_catalog(shell: Shell, shown: Shown, line: str, params: object) -> None:
    with serving(echo) as server:
        shell.session.connect(server.target, plain=False)
        shell.execute(line)
    assert shown.results == [params]


def test_pairs_are_typed_by_what_the_server_says(shell: Shell, shown: Shown) -> None:
    with serving(typed) as server:
        shell.session.connect(server.target)
        shell.execute("tag text=12 n=12")
    assert shown.results == [{"text": "12", "n": 12}]


def test_no_params_are_an_empty_object_where_the_method_binds_by_name(shell: Shell, shown: Shown) -> None:
    with serving(typed) as server:
        shell.session.connect(server.target)
        shell.execute("tag")
        shell.execute("other")
    assert shown.results == [{}, None]


def test_pairs_are_a_list_where_the_server_takes_params_by_position(shell: Shell, shown: Shown) -> None:
    methods = [{"name": "echo", "paramStructure": "by-position", "params": [{"name": "a"}, {"name": "b"}]}]

    def by_position(peer: Peer) -> None:
        for line in peer.sock.makefile("rb"):
            request = json.loads(line)
            result = {"methods": methods} if request["method"] == "rpc.discover" else request["params"]
            peer.sock.sendall(json.dumps({"id": request["id"], "result": result}).encode())

    with serving(by_position) as server:
        shell.session.connect(f"jsonrpc:{server.target}")
        shell.execute("echo b=2 a=1")
        shell.execute("echo b=2")
        shell.execute("echo")
        shell.session.disconnect()
    assert shown.results == [[1, 2], [None, 2], []]


@pytest.mark.parametrize("line", ["", "   ", "# a comment"])
def test_a_line_with_nothing_to_run_does_nothing(shell: Shell, shown: Shown, line: str) -> None:
    shell.execute(line)
    assert not shown.results


def test_a_line_that_does_not_parse_says_where(shell: Shell) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        shell.execute('ping {"a":}')
    assert caught.value.line == 'ping {"a":}'
    assert caught.value.column == 10


def test_an_open_bracket_is_not_sent(shell: Shell) -> None:
    with pytest.raises(SyntaxProblem):
        shell.execute('ping {"a":1')


@pytest.mark.parametrize("line", ['login password="***"', ':watch 1 login {"pw": "***"}', 'x = {"token": "***"}'])
def test_a_line_as_the_history_keeps_it_is_not_sent(shell: Shell, line: str) -> None:
    with pytest.raises(SyntaxProblem, match="a secret was left out here") as caught:
        shell.execute(line)
    assert caught.value.column == line.index("***")


def test_an_error_does_not_repeat_the_secrets_of_its_call(shell: Shell) -> None:
    def refuse(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            tried = request["params"]["password"]
            data = {"tried": [f"<{tried}>"], "user": request["params"]["user"]}
            peer.send({"out": "error", "result": {"code": 7, "message": f"{tried} is wrong", "data": data}})

    with serving(refuse) as server:
        shell.execute(f":connect {server.target} --plain")
        with pytest.raises(CallError) as caught:
            shell.execute('login {"user": "ada", "password": "hunter2"}')
    assert caught.value.message == "*** is wrong"
    assert caught.value.data == {"tried": ["<***>"], "user": "ada"}


def test_a_refused_call_is_told_what_its_pairs_were_meant_as(shell: Shell) -> None:
    params = [{"name": name, "schema": {"type": "number"}} for name in "ab"]
    document = {
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [{"name": "add", "params": params}],
    }

    def refuse(peer: Peer) -> None:
        peer.read()
        peer.send({"out": "rpc.discover", "result": document})
        while peer.read() is not None:
            peer.send({"out": "error", "result": {"code": -32602, "message": "no"}})

    with serving(refuse) as server:
        shell.session.connect(server.target)
        for line, hint in (("add a=1, b=2", "did you mean `add a=1 b=2`?"), ("add a=1 b=2", None)):
            with pytest.raises(CallError) as caught:
                shell.execute(line)
            assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("workers", ":workers is the command"),
        ("bench ping -c 8", ":bench ping -c 8 is the command"),
        ("connect tls://me:hunter2@host", ':connect tls://"***" is the command'),
        ("nonesuch", None),
    ],
)
def test_a_command_without_its_colon_is_told_in_a_script_where_no_method_has_its_name(
    shell: Shell, line: str, hint: str | None
) -> None:
    def refuse(peer: Peer) -> None:
        while (asked := peer.read()) is not None:
            offered = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": []}
            missing = {"code": -32601, "message": "there is no such method"}
            known = asked["in"] == "rpc.discover"
            peer.send({"out": "rpc.discover", "result": offered} if known else {"out": "error", "result": missing})

    with serving(refuse) as server:
        shell.session.connect(server.target)
        with pytest.raises(ShellError) as caught:
            shell.execute(line)
    assert caught.value.hint == hint


@pytest.mark.parametrize("line", ["login hunter2 1", 'login("hunter2", 1)'])
def test_advice_does_not_repeat_a_secret_that_the_server_tells_by_its_place(shell: Shell, line: str) -> None:
    params = [{"name": "password", "schema": {"type": "string"}}, {"name": "n", "schema": {"type": "integer"}}]
    document = {
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [{"name": "login", "params": params}],
    }

    def offered(peer: Peer) -> None:
        while peer.read() is not None:
            peer.send({"out": "rpc.discover", "result": document})

    with serving(offered) as server:
        shell.session.connect(server.target)
        with pytest.raises(ShellError) as caught:
            shell.execute(line)
    assert "did you mean" in str(caught.value.hint)
    assert "hunter2" not in str(caught.value.hint)


def test_a_call_without_a_target_says_so(shell: Shell) -> None:
    with pytest.raises(NotConnected):
        shell.execute("ping 1")


def test_a_command_is_found_by_its_name(shell: Shell, shown: Shown) -> None:
    with serving(echo) as server:
        shell.execute(f":connect {server.target} --plain")
        assert shell.session.target == server.target
        assert shell.session.plain
        shell.execute(":disconnect")
    assert shell.session.target is None


def test_an_unknown_command_is_a_usage_error(shell: Shell) -> None:
    with pytest.raises(UsageError):
        shell.execute(":nonesuch")


def test_a_command_with_an_open_quote_is_not_run(shell: Shell) -> None:
    with pytest.raises(SyntaxProblem):
        shell.execute(':connect "8080')


def test_the_command_to_leave_leaves(shell: Shell) -> None:
    with pytest.raises(Leave):
        shell.execute(":quit")


def test_a_script_is_told_that_a_key_stands_twice_and_its_line_is_run(shell: Shell, shown: Shown) -> None:
    with serving(echo) as server:
        shell.session.connect(server.target, plain=True)
        shell.execute('ping {"a": 1, "a": 2}')
        shell.interactive = True
        shell.execute("ping a=1 a=2")
    assert [call.params for call in shell.journal] == [{"a": 2}] * 2
    assert shown.texts == ["column 15: a is here twice; the last one counts"]


@pytest.mark.parametrize(("line", "asks"), [("query-status", False), ('eject {"id":"x"}', False), ("eject id=x", True)])
def test_a_server_is_asked_what_it_offers_where_that_matters(shell: Shell, line: str, asks: bool) -> None:
    heard: list[str] = []

    def monitor(peer: Peer) -> None:
        peer.sock.sendall(b'{"QMP": {}}')
        for received in peer.sock.makefile("rb"):
            command = json.loads(received)
            heard.append(command["execute"])
            peer.sock.sendall(json.dumps({"return": [], "id": command["id"]}).encode())

    with serving(monitor) as server:
        shell.session.connect(f"qmp:{server.target}")
        shell.execute(line)
        shell.session.disconnect()
    assert heard == ["qmp_capabilities", *["query-qmp-schema"] * asks, line.split(maxsplit=1)[0]]
