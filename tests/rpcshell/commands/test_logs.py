"""`:logs`: a server's log in the shell, chosen from, and followed."""

from __future__ import annotations

import json
import queue
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from rpcshell.client.errors import NotConnected, UsageError
from rpcshell.commands import load_commands
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.pretty import Fragment
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server, running

pytestmark = needs_server

APP = """
from rpcserver import Context, Service

service = Service("chatty")

@service.method
def say(text: str, context: Context, level: str = "info", times: int = 1) -> int:
    for _ in range(times):
        getattr(context.log, level)("%s", text)
    return context.worker.worker

@service.method
def boom() -> None:
    raise ValueError("bang")
"""


class Prompt(Recording):
    """An output with styles; what comes above the prompt can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.styled: list[Fragment] = []
        self.came: queue.Queue[str] = queue.Queue()

    def pieces(self, pieces: Iterable[Fragment], *, paged: bool = True) -> None:
        self.styled += pieces

    def above(self, pieces: Sequence[Fragment]) -> bool:
        for line in "".join(text for _, text in pieces).splitlines():
            self.came.put(line)
        return True

    def note(self, text: str) -> None:
        super().note(text)
        self.came.put(text)

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()

    def next(self) -> str:
        return self.came.get(timeout=30)


@pytest.fixture(scope="module", params=["text", "json"])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("chatty")
    (folder / "chatty.py").write_text(APP)
    session = Session(background=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        options = SpawnOptions(1, str(folder / "chatty.py"), extra=("--log-format", request.param))
        session.spawn(options)
    session.call("say", {"text": "one \x1b[31m", "level": "warning"})
    session.call("say", {"text": "two"})
    with pytest.raises(Exception, match="ValueError"):
        session.call("boom")
    yield session
    session.close()


@pytest.fixture
def prompt() -> Prompt:
    return Prompt()


@pytest.fixture
def chatting(session: Session, prompt: Prompt) -> Iterator[Shell]:
    shell = Shell(session, prompt, load_commands, interactive=True)
    yield shell
    shell.close()


def rows(prompt: Prompt) -> list[str]:
    """What was shown, without its times."""
    return [line.partition(" ")[2] for line in "".join(text for _, text in prompt.styled).splitlines()]


@pytest.mark.samples(1)
def test_the_last_lines_are_shown_with_their_levels_coloured(chatting: Shell, prompt: Prompt) -> None:
    chatting.execute(":logs 1 -n 100 --level warning")
    first, second, *traceback = rows(prompt)
    assert re.fullmatch(r"WARNING worker 1 \d+ say: one \\x1b\[31m", first)
    assert re.match(r"ERROR   worker 1 \d+ boom: boom failed", second)
    assert traceback[-1].strip().startswith("ValueError: bang")
    styles = {text.strip(): style for style, text in prompt.styled}
    assert styles["WARNING"] == "class:log.warning"
    assert styles["ERROR"] == "class:log.error"


def test_they_are_chosen_by_what_they_say_and_by_their_number(chatting: Shell, prompt: Prompt) -> None:
    chatting.execute(":logs --grep 'SAY: two'")
    assert [row.partition("say: ")[2] for row in rows(prompt)] == ["two"]
    prompt.styled.clear()
    chatting.execute(":logs -n 1 --grep say")
    assert [row.partition("say: ")[2] for row in rows(prompt)] == ["two"]
    prompt.styled.clear()
    chatting.execute(":logs --grep 'nothing has this'")
    assert prompt.styled == []
    assert prompt.notes == ["the last MB of the log has no such line"]


def test_scripts_get_the_lines_or_json(session: Session, output: Recording) -> None:
    script = Shell(session, output, load_commands)
    script.execute(":logs --grep 'one '")
    assert "one " in output.texts[0]
    assert "\x1b" not in output.texts[0]
    script.settings.set("format", "json")
    script.execute(":logs 1 --level warning")
    ((_, records),) = output.values
    assert [record["level"] for record in records] == ["warning", "error"]
    assert {record["worker"] for record in records} == {1}
    assert "ValueError: bang" in records[1]["message"]


def test_what_comes_is_followed_until_it_is_told_to_end(chatting: Shell, prompt: Prompt) -> None:
    chatting.execute(":logs -f 1 -n 0 --grep follow")
    assert "following the log" in prompt.next()
    chatting.execute("say text='follow me'")
    chatting.execute("say text=not_me")
    chatting.execute("say text='follow on' level=error")
    assert prompt.next().endswith("say: follow me")
    assert prompt.next().endswith("say: follow on")
    chatting.execute(":logs off")
    assert prompt.next() == "the log is followed no more"
    with pytest.raises(UsageError, match="no log is being followed"):
        chatting.execute(":logs off")
    chatting.execute("say text='follow nobody'")
    assert prompt.came.empty()


@pytest.mark.samples(1)
def test_a_flood_is_cut_and_what_is_left_out_is_counted(chatting: Shell, prompt: Prompt) -> None:
    chatting.execute(":logs -f -n 0 --grep flood")
    prompt.next()
    chatting.execute("say text=flood times=3000")
    chatting.execute("say text='flood end'")
    shown = left = 0
    while shown + left < 3001:
        line = prompt.next()
        if line.startswith("… "):
            left += int(line.split()[1].replace(",", ""))
            assert line.endswith("of the log left out")
        else:
            shown += 1
    assert 30 <= shown <= 90
    assert shown + left == 3001


def test_what_cannot_be_followed_is_said(chatting: Shell) -> None:
    with pytest.raises(UsageError, match="there is no worker 9"):
        chatting.execute(":logs -f 9")
    with pytest.raises(UsageError, match="named by its number, not 'two'"):
        chatting.execute(":logs two")
    with pytest.raises(UsageError, match="has no end"):
        chatting.execute(":logs -f | cat")


def test_a_script_follows_until_the_server_ends(output: Recording) -> None:
    session = Session(background=False)
    server = session.spawn(SpawnOptions(1))
    script = Shell(session, output, load_commands)
    script.settings.set("format", "json")

    def end(name: str, value: object) -> None:
        Recording.value(output, name, value)
        if len(output.values) == 1:
            server.stop()

    output.value = end  # type: ignore[method-assign]  # what is written first is what ends the server
    with script.supervisor.control() as control:
        control.kill_worker(1)
    script.execute(":logs -f -n 1")
    session.close()
    assert json.dumps(output.values[0][1])
    assert output.notes == ["the server has gone: its log is followed no more"]


def test_a_log_that_is_no_file_says_so(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(NotConnected):
        shell.execute(":logs")
    with running("-w", "1", folder=tmp_path) as server:
        shell.session.connect(server.addresses[0])
        with pytest.raises(UsageError, match="start the server with --log-file"):
            shell.execute(":logs")
