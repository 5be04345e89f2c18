"""The prompt with keys from a pipe: what is typed, and the line that comes of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from rpcshell.commands import load_commands
from rpcshell.line.catalog import Catalog
from rpcshell.prompt.context import LineContext
from rpcshell.prompt.session import Prompt
from rpcshell.shell.session import Session
from rpcshell.view.settings import Settings

DOCUMENT = {
    "openrpc": "1.3.2",
    "info": {"title": "t", "version": "1"},
    "methods": [
        {"name": name, "params": [{"name": "first", "schema": {"type": "string"}, "required": True}]}
        for name in ("ping", "pong", "other.thing")
    ],
}
ALT_ENTER = "\x1b\r"


class KnownSession(Session):
    """A session whose target has told what it offers."""

    known = Catalog.from_openrpc(DOCUMENT)

    @property
    def catalog(self) -> Catalog:
        return self.known


@contextmanager
def prompt_with(
    keys: str, /, *, history: tuple[str, ...] = (), settings: Settings | None = None, **options: Any
) -> Iterator[Prompt]:
    commands = load_commands()
    with create_pipe_input() as pipe:
        pipe.send_text(keys)
        yield Prompt(
            LineContext(KnownSession(settings), lambda: commands),
            history=InMemoryHistory(list(history)),
            input=pipe,
            output=DummyOutput(),
            **options,
        )


def typed(keys: str, /, *, history: tuple[str, ...] = (), **options: Any) -> str:
    with prompt_with(keys, history=history, **options) as prompt:
        return prompt.read()


@pytest.mark.samples(3)
@pytest.mark.parametrize("line", ["ping", 'ping {"a": 1}', "ping <'a': 1>", ":help", "", "ping }"])
def test_enter_runs_a_complete_line(line: str) -> None:
    assert typed(f"{line}\r") == line


def test_enter_in_an_open_bracket_opens_a_row_indented_by_its_depth() -> None:
    assert typed('ping {\r"a": [\r1\r]\r}\r') == 'ping {\n  "a": [\n    1\n  ]\n}'


def test_enter_in_an_open_string_opens_a_row() -> None:
    assert typed('ping "a\rb"\r') == 'ping "a\nb"'


def test_a_bracket_in_a_string_opens_nothing() -> None:
    assert typed('ping "{"\r') == 'ping "{"'


def test_enter_runs_the_whole_line_wherever_the_cursor_is() -> None:
    assert typed("ping 1\x1b[D\x1b[D\r") == "ping 1"


def test_alt_enter_always_opens_a_row() -> None:
    assert typed(f"ping{ALT_ENTER}1\r") == "ping\n1"


def test_a_paste_of_several_rows_waits_for_enter() -> None:
    assert typed("\x1b[200~ping\n{}\x1b[201~\r") == "ping\n{}"


@pytest.mark.samples(3)
@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("pi\t\r", "ping"),
        ("p\tx\r", "px"),
        ("othe\t\r", "other.thing"),
        (":hel\t\r", ":help"),
        (":spawn --mo\t\r", ":spawn --model"),
        (":doc pin\t\r", ":doc ping"),
        ("zzz\t\r", "zzz"),
    ],
)
def test_tab_puts_in_what_is_certain(keys: str, line: str) -> None:
    assert typed(keys) == line


def test_tab_in_the_middle_does_not_repeat_what_follows() -> None:
    assert typed("ping\x1b[D\x1b[D\t\r") == "ping"


def test_ctrl_c_clears_the_line() -> None:
    with prompt_with("some text\x03ping\r") as prompt:
        assert prompt.read() == ""
        assert prompt.read() == "ping"


def test_ctrl_d_leaves_an_empty_line_only() -> None:
    with prompt_with("\x04") as prompt, pytest.raises(EOFError):
        prompt.read()
    assert typed("ab\x1b[D\x04\r") == "a"


def test_the_arrows_go_through_the_lines_from_before() -> None:
    assert typed("\x1b[A\x1b[A\r", history=("one", "two")) == "one"


def test_ctrl_r_searches_the_lines_from_before() -> None:
    assert typed("\x12ne\r\r", history=("one", "two")) == "one"


def test_an_interrupt_right_after_a_line_was_accepted_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with prompt_with("ping 1\rping 2\r") as prompt:
        application = prompt._prompt.app
        whole = application.run_async

        async def interrupted(**options: Any) -> str:
            line = await whole(**options)
            # The prompt is over, and its event loop is not yet.
            signal.raise_signal(signal.SIGINT)
            return line

        with monkeypatch.context() as patch:
            patch.setattr(application, "run_async", interrupted)
            with pytest.raises(KeyboardInterrupt):
                prompt.read()
        assert prompt.read() == "ping 2"


def test_ctrl_c_while_an_accepted_line_is_drawn_for_the_last_time_is_heard() -> None:
    with prompt_with("ping 1\r") as prompt:
        application = prompt._prompt.app

        def press(_application: object) -> None:
            if application.is_done:
                application.after_render -= press
                assert isinstance(application.input, PipeInput)
                application.input.send_text("ping 2\r\x03ping 3\r")

        application.after_render += press
        with pytest.raises(KeyboardInterrupt):
            prompt.read()
        assert prompt.read() == "ping 3"


def test_ctrl_c_after_an_empty_line_is_for_the_next_one() -> None:
    with prompt_with("\rping 1\x03ping 2\r") as prompt:
        assert [prompt.read(), prompt.read(), prompt.read()] == ["", "", "ping 2"]


def test_an_interrupt_from_elsewhere_ends_the_reading() -> None:
    class End(BaseException):
        pass

    with prompt_with("") as prompt:
        assert not prompt.interrupt(End())
        reading = threading.Event()
        prompt._prompt.app.after_render += lambda _app: reading.set()

        def interrupt() -> None:
            assert reading.wait(30)
            prompt.interrupt(End())

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(End):
            prompt.read()
        thread.join(30)


def test_what_the_first_keys_need_is_imported_once_the_prompt_is_there() -> None:
    ready = threading.Event()
    commands = load_commands()
    with create_pipe_input() as pipe:
        prompt = Prompt(
            LineContext(KnownSession(), lambda: commands),
            history=InMemoryHistory(),
            input=pipe,
            output=DummyOutput(),
            on_ready=ready.set,
        )
        assert not ready.is_set()
        pipe.send_text("\r")
        prompt.read()
    assert ready.wait(30)
