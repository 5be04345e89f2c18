"""Numbers stay what they are, on every way through the shell: as typed to the server, and as sent to the screen."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from rpcshell.client.errors import CallError
from rpcshell.line.catalog import Catalog
from rpcshell.line.json_text import json_text
from rpcshell.prompt.templates import call_template
from rpcshell.view.differences import group
from rpcshell.view.plain import plain_text
from rpcshell.view.render import render_result
from rpcshell.view.settings import Settings
from rpcwire import TextFloat, decode_reply, decode_request
from tests.rpcshell.commands.test_export import RUNNERS, run
from tests.rpcshell.peers import serving
from tests.rpcwire.test_numbers import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.shell.shell import Shell
    from tests.rpcshell.commands.recording import Recording
    from tests.rpcshell.peers import Peer

DIGITS = [
    "12345678901234567890.12",
    "2.50",
    "1E400",
    "-0.0",
    "1.0",
    "1e22",
    "1e+22",
    "0.1e1",
    "3.141592653589793238462643383279",
    "5e-324",
    "1e9999999999999999999",
    "1" * 100,
    "9007199254740993",
    "0.1",
]

asked_for: list[str] = []


def echo_and_remember(peer: Peer) -> None:
    # Load may end in the middle of a reply.
    with contextlib.suppress(ConnectionError):
        answer(peer)


def answer(peer: Peer) -> None:
    while (body := peer.read_body()) is not None:
        request = decode_request(body)
        if request.method == "rpc.discover":
            peer.send({"out": "error", "result": {"code": -32601, "message": "no"}})
        else:
            asked_for.append(bytes(request.params).decode())
            peer.send_body(b'{"out":"pong","result":' + bytes(request.params) + b"}")


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    with serving(echo_and_remember) as server:
        yield str(server.target)


@pytest.fixture
def connected(shell: Shell, peer: str) -> Shell:
    shell.execute(f":connect {peer} --plain")
    asked_for.clear()
    return shell


@pytest.mark.parametrize("number", DIGITS)
def test_a_number_reaches_the_server_as_typed(connected: Shell, output: Recording, number: str) -> None:
    for line in (
        f"ping {number}",
        f"ping [{number}]",
        f"ping price={number}",
        f'ping price={{"a": {number}}}',
        f"n = {number}",
        "ping {a: [$n]}",
        "ping price=$n",
        "ping [$_.price]",
        "$n",
        'ping $"it costs ${n}"',
    ):
        connected.execute(line)
    assert asked_for == [
        number,
        f"[{number}]",
        f'{{"price":{number}}}',
        f'{{"price":{{"a":{number}}}}}',
        f'{{"a":[{number}]}}',
        f'{{"price":{number}}}',
        f"[{number}]",
        f'"it costs {number}"',
    ]
    assert [json_text(value) for _, value in output.values] == [number, number]


def test_zero_keeps_its_sign_on_the_way_to_the_server(connected: Shell) -> None:
    connected.execute("ping price=-0")
    assert asked_for == ['{"price":-0}']


@given(NUMBERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_number_reaches_the_server_as_typed(connected: Shell, number: str) -> None:
    connected.execute(f"ping price={number}")
    assert asked_for[-1] == f'{{"price":{number}}}'


def shown(value: Any, form: str) -> list[str]:
    """A value as it is shown, on a screen and in a file, wide and narrow."""
    settings = Settings()
    settings.set("format", form)
    screens = ["".join(text for _, text in render_result("pong", value, width, settings)) for width in (30, 400)]
    return [*screens, *("".join(plain_text(value, settings, indented=indented)) for indented in (True, False))]


@pytest.mark.parametrize("form", ["json", "raw", "table"])
@pytest.mark.parametrize("number", DIGITS)
def test_a_number_is_shown_as_sent(form: str, number: str) -> None:
    result = f'[{{"price": {number}, "in": {{"deep": [{number}]}}, "on": [[{number}, {number}], {{}}]}}, {number}]'
    reply = decode_reply(f'{{"out":"pong","result":{result}}}'.encode(), "text")
    for text in shown(reply.result, form):  # type: ignore[union-attr]
        assert text.count(number) == 5 or "…" in text


def test_values_that_are_written_otherwise_are_other_values() -> None:
    found = group([TextFloat("2.50"), 2.5, TextFloat("2.50"), TextFloat("2.500")])
    assert [variant.places for variant in found] == [(0, 2), (1,), (3,)]


def test_a_watch_sees_each_digit_change(shell: Shell, output: Recording) -> None:
    replies = iter(["0.1234567890123456789", "0.1234567890123456780", "0.1234567890123456780", "2.50", "2.5"])

    def serve(peer: Peer) -> None:
        while peer.read_body() is not None:
            peer.send_body(f'{{"out":"pong","result":{next(replies)}}}'.encode())

    with serving(serve) as server:
        shell.execute(f":connect {server.target} --plain")
        shell.execute(":watch -n 5 0.05 ping")
    assert [json_text(call.result) for call in output.results] == [
        "0.1234567890123456789",
        "0.1234567890123456780",
        "2.50",
        "2.5",
    ]


@pytest.mark.samples(1)
@pytest.mark.parametrize("kind", RUNNERS)
def test_an_export_makes_its_calls_with_the_same_numbers(
    connected: Shell, output: Recording, tmp_path: Path, kind: str
) -> None:
    connected.execute('ping {"price": 2.50, "rate": 0.1, "all": [12345678901234567890.12, 1], "api_token": 7.10}')
    connected.execute("ping price=-0.0")
    path = tmp_path / "exported.py"
    connected.execute(f":export {kind} --exact -o {path}")
    typed = list(asked_for)
    asked_for.clear()
    ran = run(kind, path, RPCSHELL_API_TOKEN="7.10")  # noqa: S106
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert asked_for == typed
    if kind != "pytest":
        assert "12345678901234567890.12" in ran.stdout


def test_an_export_of_plain_floats_needs_no_decimals(connected: Shell, output: Recording) -> None:
    connected.execute('ping {"price": 2.5}')
    connected.execute(":export pytest --exact")
    assert "ecimal" not in output.texts[-1]


def test_the_numbers_of_a_schema_are_shown_as_the_server_wrote_them() -> None:
    text = (
        '{"out":"x","result":{"methods":[{"name":"pay","params":[{"name":"price","required":true,"schema":'
        '{"type":"number","default":2.50,"minimum":0.10,"maximum":1E400}},'
        '{"name":"rate","schema":{"enum":[0.10,0.20]}}]}]}}'
    )
    reply = decode_reply(text.encode(), "text")
    method = Catalog.from_openrpc(reply.result).methods["pay"]  # type: ignore[union-attr]
    assert method.signature == "pay(price: number = 2.50, rate?: 0.10 | 0.20)"
    template = call_template(method)
    assert template is not None
    assert template.text == '{"price": 2.50}'


def test_an_error_has_its_numbers_as_sent(shell: Shell) -> None:
    def serve(peer: Peer) -> None:
        peer.read_body()
        peer.send_body(b'{"out":"error","result":{"code":1,"message":"no","data":{"limit":2.50}}}')

    with serving(serve) as server:
        shell.execute(f":connect {server.target} --plain")
        with pytest.raises(CallError) as caught:
            shell.execute("ping")
    assert json_text(caught.value.data) == '{"limit": 2.50}'


def test_the_params_of_a_bench_have_numbers_as_typed(connected: Shell, output: Recording, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    connected.execute(f":bench --json -d 0.2 -c 1 ping price=2.50 > {path}")
    assert set(asked_for) == {'{"price":2.50}'}
    assert '"params":{"price":2.50}' in path.read_text().replace(" ", "").replace("\n", "")


def test_a_bench_counts_replies_whose_numbers_no_float_holds(shell: Shell, output: Recording) -> None:
    def serve(peer: Peer) -> None:
        while peer.read_body() is not None:
            peer.send_body(b'{"out":"pong","result":1E400}')

    with serving(serve, serve, serve) as server:
        shell.execute(f":connect {server.target} --plain")
        shell.execute(":bench --json -n 3 -c 1 ping")
    assert [value["problems"] for _, value in output.values] == [{}]
