"""The answer of a terminal that was asked what it draws on, among what is typed; and whether it draws in colours."""

from __future__ import annotations

import os
import sys
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.output import ColorDepth

from rpcshell.prompt.contrast import RGB
from rpcshell.prompt.terminal_background import AnswerParser, terminal_output

KEYS = st.text(alphabet="ab]1;\r\x03ä", max_size=6)
SEQUENCES = st.sampled_from(["\x1b[A", "\x1b[1;3R", "\x1bb", "\x1b[200~x\x1b[201~"])
ANSWERS = st.sampled_from(
    [
        ("\x1b]11;rgb:1e1e/2020/ffff\x1b\\", (30, 32, 255)),
        ("\x1b]11;rgb:ff/ff/ff\x07", (255, 255, 255)),
        ("\x1b]11;rgba:0/8/f/ffff\x9c", (0, 136, 255)),
    ]
)


def parsed(parts: list[str], *, flush: bool = False) -> tuple[list[KeyPress], list[RGB]]:
    keys: list[KeyPress] = []
    backgrounds: list[RGB] = []
    parser = AnswerParser(Vt100Parser(keys.append), backgrounds.append)
    for part in parts:
        parser.feed(part)
        if flush:
            parser.flush()
    parser.flush()
    return keys, backgrounds


def plainly(text: str) -> list[KeyPress]:
    keys: list[KeyPress] = []
    parser = Vt100Parser(keys.append)
    parser.feed_and_flush(text)
    return keys


@given(st.lists(KEYS | SEQUENCES, max_size=4).map("".join), ANSWERS, KEYS, st.lists(st.integers(0, 60), max_size=4))
def test_the_answer_is_taken_out_of_the_keys_wherever_it_is_cut(
    before: str, answer: tuple[str, RGB], after: str, cuts: list[int]
) -> None:
    text = before + answer[0] + after
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    keys, backgrounds = parsed([text[start:end] for start, end in pairwise(places)])
    assert backgrounds == [answer[1]]
    assert keys == plainly(before + after)


@given(st.lists(KEYS | SEQUENCES | st.just("\x1b") | st.just("\x1b]"), max_size=6))
def test_other_keys_are_what_they_were(parts: list[str]) -> None:
    assume("\x1b]11;" not in "".join(parts))
    assert parsed(["".join(parts)]) == (plainly("".join(parts)), [])


def test_an_answer_that_comes_slowly_is_no_keys_either_and_an_escape_alone_is_the_key() -> None:
    assert parsed(["\x1b]11;rgb:00", "00/0000/", "0000\x1b", "\\x"], flush=True) == (plainly("x"), [(0, 0, 0)])
    assert parsed(["\x1b", "a"], flush=True) == ([*plainly("\x1b"), *plainly("a")], [])


def test_an_answer_whose_escape_came_long_before_is_no_text() -> None:
    slow = ["\x1b", "]11;rgb:ff/ff", "/ff\x1b\\", "x"]
    assert parsed(slow, flush=True) == ([*plainly("\x1b"), *plainly("x")], [(255, 255, 255)])
    assert parsed(["\x1b", "]", "1", "x"], flush=True)[0] == [*plainly("\x1b"), *plainly("]1x")]


def test_an_answer_that_is_cut_off_does_not_swallow_what_follows() -> None:
    assert parsed(["\x1b]11;rgb:ff/ff", "/ff", "\x1b[1;3R", "ping"])[0] == plainly("\x1b[1;3Rping")


def test_what_is_no_answer_does_not_hold_the_keys_up() -> None:
    keys, backgrounds = parsed(["\x1b]11;" + "x" * 100])
    assert (len(keys), backgrounds) == (len(plainly("\x1b]11;" + "x" * 100)), [])


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, True),
        ({"CLICOLOR": "1"}, True),
        ({"CLICOLOR": "0"}, False),
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
        ({"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, True),
        ({"TERM": "vt100"}, False),
        ({"TERM": "vt100", "CLICOLOR_FORCE": "0"}, False),
        ({"TERM": "vt220", "FORCE_COLOR": "1"}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_are_drawn_where_there_are_any_and_nobody_minds(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal, ours = os.openpty()
    with os.fdopen(terminal, "rb"), os.fdopen(ours, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert (terminal_output().get_default_color_depth() != ColorDepth.DEPTH_1_BIT) is coloured
