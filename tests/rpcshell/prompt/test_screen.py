"""The screen: what is written to a terminal, and what goes to a pager."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import DummyInput
from prompt_toolkit.output import ColorDepth, DummyOutput
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from rpcshell.client.errors import UsageError
from rpcshell.prompt.programs import find_pager
from rpcshell.prompt.screen import Screen, call_in_loop
from rpcshell.shell.call import Call
from rpcwire import Meta, Reply

META = Meta(worker=3, pid=4242, generation=0, model="sync", service_us=120, served=7)


def outcome(result: object) -> Call:
    return Call(method="m", reply=Reply("pong", result, meta=META), elapsed=0.0012)


class Terminal:
    """A terminal of a given size that is a text."""

    def __init__(self, rows: int = 24, depth: ColorDepth = ColorDepth.DEPTH_8_BIT) -> None:
        self._stream = io.StringIO()
        output = Vt100_Output(self._stream, lambda: Size(rows, 80), enable_cpr=False)
        self.screen = Screen(output, depth)

    @property
    def text(self) -> str:
        return self._stream.getvalue().replace("\r\n", "\n")


@pytest.fixture
def paged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the pager puts what it gets."""
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {tmp_path}/paged\n")
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    return tmp_path / "paged"


def test_a_result_is_coloured_and_followed_by_who_served_it() -> None:
    terminal = Terminal()
    terminal.screen.result(outcome({"a": 1}))
    assert "\x1b[" in terminal.text
    assert terminal.text.rstrip().endswith("\x1b[0m")
    plain = io.StringIO()
    Screen(PlainTextOutput(plain), ColorDepth.DEPTH_1_BIT).result(outcome({"a": 1}))
    assert plain.getvalue() == 'pong {"a": 1}\n1.2 ms · 0.12 server, 1.08 waiting · worker 3 · pid 4242\n'


def test_without_colours_there_are_none() -> None:
    terminal = Terminal(depth=ColorDepth.DEPTH_1_BIT)
    terminal.screen.result(outcome({"a": 1}))
    terminal.screen.error(UsageError("no"))
    assert not any(f"\x1b[0;{code}" in terminal.text for code in range(30, 38))


def test_what_fills_the_screen_goes_to_the_pager_and_the_footer_does_not(paged: Path) -> None:
    terminal = Terminal(rows=10)
    terminal.screen.result(outcome([{"number": number, "text": "x" * 70} for number in range(5)]))
    assert paged.read_text().startswith("pong [\n")
    assert "pong" not in terminal.text
    assert "worker 3" in terminal.text


@pytest.mark.parametrize(("lines", "long"), [(7, False), (8, True)])
def test_the_pager_begins_where_the_prompt_would_not_fit(paged: Path, lines: int, long: bool) -> None:
    Terminal(rows=10).screen.text("line\n" * lines)
    assert paged.exists() == long


def test_rows_that_wrap_count(paged: Path) -> None:
    Terminal(rows=10).screen.text("日" * 400)
    assert paged.read_text() == "日" * 400 + "\n"


@pytest.mark.parametrize("pager", ["", "cat"])
def test_no_pager_means_none(monkeypatch: pytest.MonkeyPatch, pager: str) -> None:
    monkeypatch.setenv("PAGER", pager)
    terminal = Terminal(rows=5)
    terminal.screen.text("line\n" * 50)
    assert terminal.text.count("line") == 50


def test_a_pager_that_reads_nothing_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "true")
    Terminal(rows=5).screen.result(outcome(["x" * 100] * 20_000))


def test_an_interrupt_while_the_pager_runs_is_the_pagers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\nkill -INT $PPID\ncat > {tmp_path}/paged\n")
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    Terminal(rows=5).screen.text("line\n" * 50)
    assert (tmp_path / "paged").read_text() == "line\n" * 50


def test_less_gets_its_options_unless_the_user_has_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is not started, and some systems have none.
    (tmp_path / "less").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PAGER", "less")
    monkeypatch.delenv("LESS", raising=False)
    found = find_pager()
    assert found is not None
    assert (found.environment["LESS"], found.environment["LESSCHARSET"], found.colours) == ("FRX", "utf-8", True)
    monkeypatch.setenv("LESS", "-i")
    found = find_pager()
    assert found is not None
    assert (found.environment["LESS"], found.colours) == ("-i", False)
    monkeypatch.setenv("PAGER", "less -R")
    found = find_pager()
    assert found is not None
    assert found.colours


def test_a_note_from_another_thread_is_written() -> None:
    terminal = Terminal()
    thread = threading.Thread(target=terminal.screen.note, args=("a note \x1b[2J",))
    thread.start()
    thread.join(30)
    assert "a note \\x1b[2J\n" in terminal.text


@pytest.mark.parametrize(
    "show",
    [lambda screen: screen.text("line\n" * 50), lambda screen: screen.result(outcome(["x" * 70] * 50))],
    ids=["text", "result"],
)
def test_a_note_from_another_thread_waits_until_the_pager_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: Callable[[Screen], None]
) -> None:
    shown, left = tmp_path / "shown", tmp_path / "left"
    os.mkfifo(shown)
    os.mkfifo(left)
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > /dev/null\necho > {shown}\ncat {left}\n")
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    terminal = Terminal(rows=5)
    meanwhile: list[str] = []

    def note() -> None:
        shown.read_text()
        terminal.screen.note("a note")
        meanwhile.append(terminal.text)
        left.write_text("")

    thread = threading.Thread(target=note)
    thread.start()
    show(terminal.screen)
    thread.join(30)
    assert meanwhile == [""]
    assert "a note\n" in terminal.text


def test_a_loop_that_was_closed_a_moment_ago_is_none() -> None:
    application: Application[None] = Application(output=DummyOutput(), input=DummyInput())
    application._is_running = True
    application.loop = asyncio.new_event_loop()
    application.loop.close()
    assert not call_in_loop(application, lambda: None)


def test_an_error_is_one_line() -> None:
    plain = io.StringIO()
    Screen(PlainTextOutput(plain), ColorDepth.DEPTH_1_BIT).error(UsageError("wrong", hint="do this"))
    assert plain.getvalue() == "error: wrong — do this\n"
