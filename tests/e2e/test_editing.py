"""Typing a line: templates, several rows, vi, an editor, pastes, and screens that are narrow or change."""

import re
from pathlib import Path

import pytest

from rpcshell.prompt.theme import theme_style
from tests.e2e.shells import leave, spawn
from tests.e2e.terminal import CTRL_C, CTRL_R, ENTER, SHELL, TAB, Terminal
from tests.servers import needs_server

pytestmark = needs_server

ESCAPE = "\x1b"
SHIFT_TAB = "\x1b[Z"
CTRL_L = "\x0c"
CTRL_X_CTRL_E = "\x18\x05"
F1, F2, F3, F4 = "\x1bOP", "\x1bOQ", "\x1bOR", "\x1bOS"


def pasted(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


@pytest.mark.thorough
def test_tab_fills_in_a_call_place_by_place(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send("add ")
    terminal.wait_for(r"^add\(a: number")
    terminal.send(TAB)
    terminal.wait_for(r'> add \{"a": number, "b": 0\}')
    terminal.wait_for(r"^a: number .*Tab goes on")
    place = terminal.style_at("number, ")
    assert place.italics
    assert place.fg != terminal.style_at('"a"').fg
    terminal.send("1" + TAB + "22")
    terminal.wait_for(r'> add \{"a": 1, "b": 22\}')
    terminal.send(SHIFT_TAB + "3" + ENTER)
    terminal.wait_for(r'> add \{"a": 13, "b": 22\}\s*\nadd 35')

    terminal.send(f"order.place {TAB}")
    terminal.wait_for(r'^ +"sku": "string"$')
    terminal.send(f"Ann{TAB}TEA-42{TAB}Main St{TAB}Rome{TAB}ex{TAB}{TAB}{ENTER}")
    terminal.wait_for(r'"customer": "Ann"')
    terminal.wait_for(r'^[^>]*"shipping": "express"')


def test_what_is_to_be_filled_in_is_shown_in_its_own_line_alone(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send(f"order.place {TAB}")
    terminal.wait_for(r'^ +"customer": "string"')
    terminal.send(CTRL_C)
    terminal.wait_for(r"^ +\}\n127\S+> ")
    terminal.wait_for("^Tab completes")
    assert "string" not in terminal.text
    # Nor does Tab go where fields were.
    terminal.send(f"{TAB}ping 1{ENTER}")
    terminal.wait_for("^pong 1$")
    terminal.send(f"order.place {TAB}")
    terminal.wait_for(r'^ +"customer": "string"')
    terminal.send(f"{CTRL_R}ping")
    terminal.wait_for("^I-search backward: ping")
    assert '"string"' not in terminal.text


@pytest.mark.thorough
def test_f_keys_do_what_the_toolbar_says(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.resize(24, 110)
    terminal.wait_for(r"F1 help · F2 doc on · F3 json · F4 emacs$")
    terminal.send(F3 + "add {")
    terminal.wait_for(r"F3 table")
    terminal.wait_for(r"^── add ")
    terminal.send(F2)
    terminal.wait_until_gone(r"^── add ")
    terminal.send(F1)
    terminal.wait_for(r"^Examples:")
    terminal.wait_for(r"> add \{$")
    terminal.send("}" + ENTER)
    terminal.wait_for(r"^error -32602: ")


def test_vi_is_there_at_once_and_shown(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send(f":set editing vi{ENTER}")
    terminal.wait_for(r"vi insert$")
    terminal.send("ping 12 3")
    terminal.wait_for("> ping 12 3")
    terminal.send(ESCAPE)
    terminal.wait_for(r"vi normal$")
    terminal.send("bhdwu0ceecho" + ESCAPE)
    terminal.wait_for(r"> echo 12 3")
    terminal.send("ddiping 7" + ENTER)
    terminal.wait_for(r"^pong 7$")
    terminal.wait_for(r"vi insert$")
    terminal.send(ESCAPE + "k")
    terminal.wait_for(r"^pong 7\n(.*\n)+.*> ping 7")
    terminal.send(F4)
    terminal.wait_until_gone(r"vi normal$")
    assert leave_with_text(terminal) == 0
    # The cursor has the terminal's own shape again (DECSCUSR, in xterm's control sequences).
    assert re.findall(rb"\x1b\[(\d) q", terminal.raw)[-1] == b"0"


def leave_with_text(terminal: Terminal) -> int:
    terminal.send(CTRL_C)
    terminal.wait_for(r"> $")
    return leave(terminal)


def test_a_line_is_edited_in_the_editor(tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nread -r key < /dev/tty\nsed -i "s/old/$key/" "$1"\n')
    editor.chmod(0o755)
    with Terminal(tmp_path, (*SHELL, "--spawn", "1"), environment={"EDITOR": str(editor)}) as terminal:
        terminal.wait_for(r"^127.*> ")
        terminal.wait_until_keys()
        terminal.send('ping "old"' + CTRL_X_CTRL_E)
        terminal.wait_until_signals()
        terminal.send("new" + ENTER)
        terminal.wait_for(r'> ping "new"')
        terminal.wait_until_keys()
        terminal.send(ENTER)
        terminal.wait_for(r'^pong "new"$')
        terminal.wait_until_keys()
        terminal.send(f'ping "old"{ENTER}')
        terminal.wait_for(r'^pong "old"$')
        terminal.wait_until_keys()
        terminal.send(f":edit{ENTER}")
        terminal.wait_until_signals()
        terminal.send("again" + ENTER)
        terminal.wait_for(r'> :edit\s*\n(.*\n)*.*> ping "again"')
        terminal.wait_until_keys()
        terminal.send(ENTER)
        terminal.wait_for(r'^pong "again"$')
        assert leave(terminal) == 0
        assert not list(tmp_path.glob("rpcshell.*"))


@pytest.mark.thorough
def test_two_hundred_lines_are_pasted_and_run_in_order(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send(pasted("\n".join(f"ping {number}" for number in range(200))))
    terminal.wait_for(r"^200 lines; Enter runs one after the other")
    terminal.send(ENTER)
    terminal.wait_for(r"^pong 199\n.*\n127.*> ")
    shown = [
        int(number)
        for number in re.findall(rb"pong[^\d\r\n]*?(?:\x1b\[[\d;]*m)*\s*(?:\x1b\[[\d;]*m)*(\d+)", terminal.raw)
    ]
    assert shown == list(range(200))


@pytest.mark.thorough
def test_one_call_of_two_hundred_rows_is_pasted(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send(f":set pager off{ENTER}")
    terminal.wait_for(r"^pager is off\n127.*> ")
    rows = ",\n".join(f'  "key {number}": {number}' for number in range(200))
    terminal.send(pasted("ping {\n" + rows + "\n}") + ENTER)
    terminal.wait_for(r'^pong \{\n  "key 0": 0,\n(.*\n)*  "key 199": 199\n\}$')


@pytest.mark.thorough
def test_a_narrow_screen_and_wide_characters(tmp_path: Path) -> None:
    with Terminal(tmp_path, (*SHELL, "--spawn", "1"), rows=16, columns=40) as terminal:
        terminal.wait_for(r"^127.*> ")
        terminal.wait_for(r"^Tab completes")
        assert all(len(row) <= 40 for row in terminal.lines)
        terminal.send('ping {"名前": "日本語のテキスト", "é": "👍🏽"')
        terminal.wait_for("日")
        # The cursor is where the text ends: what is typed next is there, in order.
        terminal.send(', "z": 1}' + ENTER)
        terminal.wait_for(r'"z": 1\s*\}')
        terminal.wait_for(r"(?s)^pong \{.*pid \d+$")
        text = re.sub(r"\s+", "", terminal.all_text)
        assert text.count('"名前":"日本語のテキスト"') == 2
        terminal.send("order.place ")
        terminal.wait_for(r"^order.place\(.*")
        terminal.send(TAB)
        terminal.wait_for('"customer": ')


@pytest.mark.thorough
def test_a_screen_that_changes_while_a_line_is_typed_shows_it_once(terminal: Terminal) -> None:
    spawn(terminal)
    terminal.send('ping {"some key": "' + "x" * 50)
    terminal.wait_for("xxx")
    for rows, columns in ((12, 40), (30, 120), (24, 60)):
        terminal.resize(rows, columns)
        terminal.wait_for(rf"(?s)x\s*\n.*{'.' * 10}")
    terminal.send('"}')
    terminal.wait_for(r'x"\}')
    terminal.send(ENTER)
    terminal.wait_for(r"^pong \{")
    assert len(re.findall(r"pong \{", terminal.all_text)) == 1


@pytest.mark.samples(1)
@pytest.mark.parametrize(("background", "theme"), [("rgb:ffff/ffff/ffff", "light"), ("rgb:0000/0000/0000", "dark")])
def test_colours_go_by_the_background_and_its_name_is_never_seen(tmp_path: Path, background: str, theme: str) -> None:
    with Terminal(tmp_path, background=background) as terminal:
        # The terminal answers in the middle of what was typed ahead.
        terminal.send(f":set theme{ENTER}")
        terminal.wait_for(r"^theme is auto")
        terminal.wait_for("^rpcshell> $")
        terminal.send("x = 77")
        terminal.wait_for("> x = 77$")
        colour = theme_style(theme).get_attrs_for_style_str("class:pygments.literal.number").color
        assert terminal.style_at("77").fg == colour
        terminal.send(CTRL_C)
        assert leave(terminal) == 0
        assert "rgb" not in terminal.all_text
        assert terminal.raw.count(b"\x1b]11;?") == 1


@pytest.mark.thorough
def test_a_theme_is_there_at_once_and_no_color_wins(tmp_path: Path) -> None:
    line = f'ping {{"key": 1}}{ENTER}'
    with Terminal(tmp_path, (*SHELL, "--spawn", "1")) as terminal:
        terminal.wait_for(r"^127.*> ")
        terminal.send(line)
        terminal.wait_for(r"^pong")
        before = terminal.style_at('"key"').fg
        terminal.send(f":set theme nonsense{ENTER}")
        terminal.wait_for(r"^error: theme cannot be 'nonsense'")
        terminal.mark()
        terminal.send(f":set theme monokai{ENTER}{CTRL_L}{line}")
        terminal.wait_until_gone("nonsense")
        terminal.wait_for(r"^pong")
        assert terminal.style_at('"key"').fg not in {before, "default"}
    with Terminal(tmp_path, (*SHELL, "--spawn", "1"), environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for(r"^127.*> ")
        terminal.send(f":set theme monokai{ENTER}{line}")
        terminal.wait_for(r"^pong")
        assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;)[0-9;]*m", terminal.raw)
