"""Keys that do something else than typing: ours, those of the configuration, and the two ways of editing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rpcshell.client.errors import UsageError
from rpcshell.prompt.actions import ACTIONS, DEFAULT_KEYS, action_bindings, parse_key
from rpcshell.prompt.programs import edit_text, find_editor
from rpcshell.view.settings import Settings
from tests.rpcshell.prompt.test_prompt import prompt_with, typed

F1, F3, F4, F5 = "\x1bOP", "\x1bOR", "\x1bOS", "\x1b[15~"
CTRL_O = "\x0f"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("f5", ("f5",)),
        ("F12", ("f12",)),
        ("ctrl-o", ("c-o",)),
        ("C-o", ("c-o",)),
        ("alt-x", ("escape", "x")),
        ("alt-enter", ("escape", "enter")),
        ("ctrl-x ctrl-l", ("c-x", "c-l")),
        ("shift-tab", ("s-tab",)),
        ("alt-ctrl-o", ("escape", "c-o")),
    ],
)
def test_keys_are_read_as_people_write_them(text: str, keys: tuple[str, ...]) -> None:
    assert parse_key(text) == keys


@pytest.mark.parametrize("text", ["", " ", "x", "f99", "ctrl-", "hyper-x", "nonsense", "-"])
def test_what_is_no_key_to_bind_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="key"):
        parse_key(text)


def test_every_default_is_an_action_and_can_be_taken_away() -> None:
    assert set(DEFAULT_KEYS.values()) <= set(ACTIONS)
    complaints: list[str] = []
    bindings, shown = action_bindings(
        {"f1": "none", "f9": "help"}, lambda _action, _event: None, lambda key, _error: complaints.append(key)
    )
    assert ("f1",) not in {tuple(binding.keys) for binding in bindings.bindings}
    assert shown["help"] == "F9"
    assert not complaints


def test_a_key_that_cannot_be_bound_is_told_and_the_others_work() -> None:
    keys = {"f99": "help", "f5": ":workers"}
    assert typed(f"ab{F5}", keys=keys) == ":workers"


def test_a_key_with_a_line_runs_it_and_what_was_typed_comes_back() -> None:
    with prompt_with(f"ping 12\x1b[D{CTRL_O}3\r", keys={"ctrl-o": "ping 7"}) as prompt:
        assert prompt.read() == "ping 7"
        assert prompt.read() == "ping 132"
        assert list(prompt._prompt.history.get_strings()) == ["ping 132"]


@pytest.mark.parametrize(
    ("keys", "line"), [("", ":help"), ("nothing", ":help"), (":spawn 1", ":help spawn"), (":nope", ":help")]
)
def test_f1_asks_about_what_is_typed(keys: str, line: str) -> None:
    assert typed(keys + F1) == line


def test_f_keys_change_the_settings() -> None:
    settings = Settings()
    formats = []
    settings.on_change(lambda name: formats.append(settings.text(name)))
    assert typed(f"{F3}{F3}{F3}ab{F4}\x1b\x1bhx\r", settings=settings) == "b"
    assert formats == ["table", "raw", "auto", "vi"]


def test_vi_is_there_from_the_start_and_goes_at_once() -> None:
    settings = Settings()
    settings.set("editing", "vi")
    with prompt_with("ab\x1bhx\riab\x01c\r", settings=settings) as prompt:
        assert prompt.read() == "b"
        settings.set("editing", "emacs")
        assert prompt.read() == "ciab"


def test_brackets_and_the_angle_are_motions_in_vis_normal_mode() -> None:
    settings = Settings()
    settings.set("editing", "vi")
    assert typed("ping 12\x1b0}x\r", settings=settings) == "ping 1"


def test_suggestions_can_be_switched_off() -> None:
    settings = Settings()
    settings.set("suggestions", "off")
    # End takes a suggestion only where there is one.
    assert typed("pi\x1b[C\r", history=("ping 1",), settings=settings) == "pi"


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An editor that keeps what it saw, with its mode, and changes 1 to 2."""
    program = tmp_path / "my editor"
    program.write_text(f'#!/bin/sh\ncp -p "$2" {tmp_path}/seen\nsed -i s/1/2/ "$2"\n')
    program.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{program}' --wait")
    return tmp_path


def test_the_editor_gets_a_private_file_that_is_gone_afterwards(editor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(editor))
    before = os.umask(0)
    try:
        assert edit_text('ping {\n  "a": "1\u65e5"\n}') == 'ping {\n  "a": "2\u65e5"\n}'
    finally:
        os.umask(before)
    assert (editor / "seen").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in editor.iterdir()} == {"seen", "my editor"}


def test_visual_comes_before_editor(editor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_editor() == (str(editor / "my editor"), "--wait")
    monkeypatch.setenv("VISUAL", "true")
    assert find_editor() == ("true",)


@pytest.mark.parametrize(
    ("named", "message"),
    [("no-such-editor", "no-such-editor"), ("vi 'x", "quotation"), ("false", "exit code 1")],
)
def test_an_editor_that_does_not_work_is_one_line(named: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", named)
    with pytest.raises(UsageError, match=message):
        edit_text("ping")


def test_without_any_editor_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        find_editor()
    assert "$EDITOR" in str(caught.value.hint)


def test_the_line_before_is_edited_and_is_there_to_be_run(editor: Path) -> None:
    with prompt_with("ping 1\r\r", history=(":edit",)) as prompt:
        assert prompt.read() == "ping 1"
        prompt.compose()
        assert prompt.read() == "ping 2"
