"""The loop with keys from a pipe and a terminal that is a text."""

from __future__ import annotations

import io
import os
import re
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.plain_text import PlainTextOutput

from rpcshell.app.options import Options
from rpcshell.app.repl import _follower, run_repl
from rpcshell.client.target import UnixTarget
from rpcshell.line.catalog import Catalog
from rpcshell.prompt.session import Prompt
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.session import Session
from tests.rpcshell.shop import CATALOG
from tests.servers import needs_server
from tests.zookeeper import Serverset


class Run:
    """A shell that gets its keys from a pipe."""

    def __init__(self, pipe: PipeInput) -> None:
        self.session = Session()
        self.pipe = pipe
        self.after_render: list[Callable[[Application[str]], None]] = []
        self._stream = io.StringIO()

    def __call__(self, keys: str, **options: object) -> int:
        self.pipe.send_text(keys)
        return run_repl(self.session, Options(**options), make_prompt=self._prompt)  # type: ignore[arg-type]

    def _prompt(self, *args: Any, **options: Any) -> Prompt:
        output = PlainTextOutput(self._stream)
        prompt = Prompt(*args, history=InMemoryHistory(), input=self.pipe, output=output, **options)
        for callback in self.after_render:
            prompt._prompt.app.after_render += callback
        return prompt

    @property
    def text(self) -> str:
        return self._stream.getvalue()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PAGER", "cat")
    with create_pipe_input() as pipe, create_app_session(input=pipe):
        yield Run(pipe)


@pytest.mark.parametrize("keys", ["\x04", ":quit\r", ":exit\r"])
def test_leaving_is_a_success(run: Run, keys: str) -> None:
    assert run(keys) == 0


def test_the_first_line_says_what_to_type(run: Run) -> None:
    run("\x04")
    first = run.text.splitlines()[0]
    assert ":spawn" in first
    assert ":connect" in first
    assert ":help" in first
    assert len(first) < 80


class ShopSession(Session):
    """A session whose target has told what it offers."""

    @property
    def catalog(self) -> Catalog:
        return CATALOG


def test_a_method_that_an_alias_hides_is_told_once() -> None:
    told: list[str] = []
    aliases = {"add": "order.create", "plus": "add"}
    look = _follower(ShopSession(), aliases, told.append, lambda _unasked: None)
    look()
    look()
    assert told == ['the alias add hides the method of that name, which "add" in quotes calls']


def test_errors_are_shown_and_the_loop_goes_on(run: Run) -> None:
    assert run(":nonsense\rping\r{\r}\r\x04") == 0
    assert run.text.count("error: ") == 3
    assert "Traceback" not in run.text


def test_empty_lines_and_ctrl_c_do_nothing(run: Run) -> None:
    assert run("\r  \rxy\x03\x04") == 0
    assert "error" not in run.text


def test_a_target_that_is_not_there_is_told_and_the_prompt_comes(run: Run, tmp_path: Path) -> None:
    assert run(":help quit\r\x04", target=UnixTarget(str(tmp_path / "nobody"))) == 0
    assert "error: cannot connect to" in run.text
    assert "Usage: :quit" in run.text


@needs_server
def test_a_server_can_be_started_at_first_and_ends_with_the_loop(run: Run) -> None:
    assert run("ping 7\r:disconnect\r\x04", spawn=SpawnOptions(workers=1)) == 0
    said = " ".join(run.text.split())
    assert re.search(r"disconnected from (127\S+), which goes on: :connect \1 goes back, :stop ends it", said)
    assert "1 worker (sync) on 127.0.0.1:" in run.text
    assert "pong 7\n" in run.text
    assert "stopping the server" in run.text
    assert run.session.server is None


@pytest.mark.thorough
@needs_server
def test_spawn_takes_options_of_the_server_as_they_are(run: Run) -> None:
    balanced = "--health 127.0.0.1:0 --drain-settle 0.1 --max-connection-age 60 --proxy-protocol unix"
    assert run(f":spawn 1 --max-buffered 5apples\r:spawn 1 --max-buffered 20M {balanced}\rping 7\r\x04") == 0
    assert "'5apples' is no size" in run.text
    assert "pong 7\n" in run.text


@pytest.mark.thorough
@needs_server
def test_a_spawned_server_may_be_registered(run: Run, serverset: Serverset) -> None:
    assert run(f":spawn 1 --register {serverset.url} --advertise 127.0.0.2:1\r:workers\r\x04") == 0
    said = " ".join(run.text.split())
    assert f"registry {serverset.url}" in said or f"registered at {serverset.url}" in said
    assert serverset.members() == {}


@pytest.mark.thorough
@needs_server
def test_a_kept_server_goes_on(run: Run) -> None:
    assert run(":spawn 1 --keep\r\x04") == 0
    assert "the server goes on at 127.0.0.1:" in run.text
    pid = int(run.text.rpartition("pid ")[2].split()[0])
    server = os.pidfd_open(pid)
    try:
        assert not select.select([server], [], [], 0)[0]
        os.kill(pid, signal.SIGTERM)
        assert select.select([server], [], [], 10)[0]
    finally:
        os.close(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_shell_leaves_the_loop(run: Run, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    run.after_render.append(lambda _app: os.kill(os.getpid(), number))
    assert run("") == 128 + number
    assert signal.getsignal(number) == before


def test_a_signal_just_after_enter_is_not_lost(run: Run) -> None:
    def end(application: Application[str]) -> None:
        if application.is_done:
            os.kill(os.getpid(), signal.SIGTERM)

    run.after_render.append(end)
    assert run("ping\r\x04") == 128 + signal.SIGTERM
    assert "no server" not in run.text


def test_an_interrupt_just_after_enter_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Application.run_async

    async def interrupted(application: Application[str], **options: Any) -> str:
        line = await whole(application, **options)
        if line == "ping":
            signal.raise_signal(signal.SIGINT)
        return line

    monkeypatch.setattr(Application, "run_async", interrupted)
    assert run("ping\r\x04") == 0
    assert run.text.count("error: cancelled") == 1
    assert "no server" not in run.text


@pytest.mark.thorough
@needs_server
def test_pasted_lines_run_one_after_the_other_until_one_fails(run: Run) -> None:
    def pasted(*lines: str) -> str:
        text = "\n".join(lines)
        return f"\x1b[200~{text}\x1b[201~\r"

    keys = (
        pasted("ping 1", "ping a=2", "fail", "ping 4")
        + pasted("ping [", "6]", "pign 6", "ping 7")
        + pasted("ping 8", 'ping {"a":}', "ping 9")
    )
    assert run(f"{keys}\x04", spawn=SpawnOptions(workers=1)) == 0
    assert [line for line in run.text.splitlines() if line.startswith("pong")] == [
        "pong 1",
        'pong {"a": 2}',
        "pong [6]",
        "pong 8",
    ]
    assert run.text.count("error -") == 2
    told = [line for line in run.text.splitlines() if line.endswith("was not run")]
    assert told == [f"what came after line {row} was not run" for row in (3, 3, 2)]
