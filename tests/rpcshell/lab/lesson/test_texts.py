"""The texts: complete and the same in both languages, and no wider than a screen."""

# ruff: noqa: RUF001
# Chinese has punctuation marks of its own.

from __future__ import annotations

import string
from typing import Any

import pytest

from rpcshell.commands import load_commands
from rpcshell.lab.lesson.course import STEPS, TEXTS, choose_language
from rpcshell.lab.lesson.page import Page, fill, span, typeset
from rpcshell.lab.lesson.texts import StepText, Texts
from rpcshell.line.language import CommandLine, parse
from rpcshell.view.width import cells
from rpcwire.control import ListenerStatus, RunningCall, ServerStatus, TotalStatus, WorkerStatus
from tests.rpcshell.commands.recording import Recording

ENGLISH, CHINESE = TEXTS["en"], TEXTS["zh"]

FIGURES: dict[str, Any] = {
    "pid": 4194303,
    "address": "127.0.0.1:65535",
    "pids": "418943 418944 418945 418946",
    "calls": 123456,
    "ratio": "123.4",
    "model": "thread",
}
"""The longest there are; a time or another figure is shorter."""


def places(template: str) -> list[tuple[str, str | None]]:
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(template) if name is not None)


def filled(template: str) -> dict[str, Any]:
    return {name: FIGURES.get(name, 0.000999 if spec == "time" else 42) for name, spec in places(template)}


def templates(step: StepText) -> dict[str, str]:
    return {**step.moments, "so": step.so}


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_every_step_has_its_texts_and_no_others(texts: Texts) -> None:
    assert list(texts.steps) == list(STEPS)
    for step in texts.steps.values():
        assert all([step.title, step.about, *templates(step).values()])
        assert 1 <= len(step.tries) <= 2


def test_both_languages_have_the_same_places_for_figures() -> None:
    assert ENGLISH.steps.keys() == CHINESE.steps.keys()
    for name, english in ENGLISH.steps.items():
        chinese = CHINESE.steps[name]
        assert list(english.moments) == list(chinese.moments)
        for moment, template in templates(english).items():
            assert places(template) == places(templates(chinese)[moment]), (name, moment)
        assert [one.line for one in english.tries] == [one.line for one in chinese.tries]
        assert [bool(one.shows) for one in english.tries] == [bool(one.shows) for one in chinese.tries]
    for field in ENGLISH.words.__struct_fields__:
        assert places(getattr(ENGLISH.words, field)) == places(getattr(CHINESE.words, field)), field
    assert list(ENGLISH.columns) == list(CHINESE.columns)


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["en", "zh"])
@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_line_is_wider_than_the_screen(texts: Texts, columns: int) -> None:
    busy = WorkerStatus(1, 2, call=RunningCall("ping", 1.0), connections=1)
    workers = [busy, WorkerStatus(2, 3, connections=1), WorkerStatus(3, 4, state="draining"), *[WorkerStatus(4, 5)] * 8]
    listeners = [ListenerStatus("127.0.0.1:1", 3, 8)]
    output = Recording()
    for number, (name, step) in enumerate(texts.steps.items(), 1):
        page = Page(output, texts, step, columns)
        page.open(number, len(STEPS))
        for moment, template in step.moments.items():
            page.tell(moment, **filled(template))
        for model in ("sync", "thread"):
            page.draw(ServerStatus(pid=1, model=model, workers=workers, totals=TotalStatus(), listeners=listeners))
        page.draw_shares([100] * 10)
        if name == "models":
            page.show_models([dict.fromkeys(texts.columns, "100 MB") | {"model": "thread"}] * 5)
        page.conclude(**filled(step.so))
        page.close()
    wide = {line for text in output.texts for line in text.splitlines() if cells(line) > columns}
    # What is typed is not broken.
    assert {line for line in wide if not line.startswith("    :")} == set()


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_on_80_columns_a_step_explains_itself_in_two_lines_and_its_moments_in_one(texts: Texts) -> None:
    for name, step in texts.steps.items():
        assert len(fill([("", step.about)], 80)) == 2, name
        for moment, template in templates(step).items():
            pieces = typeset(template, filled(template))
            margin = " " * (3 if moment == "so" else 10)
            assert len(fill(pieces, 80, prefix=("", margin))) == 1, (name, moment)


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_many_calls_are_counted_with_commas(texts: Texts) -> None:
    so = texts.steps["reload"].so
    assert "1,469" in "".join(text for _, text in typeset(so, {**filled(so), "calls": 1469}))


def test_what_can_be_tried_are_commands_that_there_are() -> None:
    commands = load_commands()
    for step in ENGLISH.steps.values():
        for one in step.tries:
            body = parse(one.line).body
            assert isinstance(body, CommandLine)
            found, body = body.meant(commands.find)
            assert found is not None
            for word in body.words:
                assert not word.text.startswith("-") or found.spec.option(word.text) is not None, one.line


def test_chinese_is_broken_between_characters_but_not_before_its_marks() -> None:
    lines = fill([("", "客户端（第一个）等着，worker 忙着。")], 12, prefix=("", "- "))
    text = ["".join(piece for _, piece in line) for line in lines]
    assert text == ["- 客户端（第", "  一个）等", "  着，worker", "  忙着。"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (4e-8, "1 µs"), (0.000999, "999 µs"), (0.0125, "12.5 ms"), (1.0, "1 s"), (1.25, "1.2 s")],
)
def test_a_time_is_told_in_its_own_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_figures_from_a_server_are_shown_safely() -> None:
    assert "".join(text for _, text in typeset("{who}", {"who": "a\x1b[2J"})) == "a\\x1b[2J"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "C"}, "en"),
        ({"LC_ALL": "zh_TW", "LC_MESSAGES": "de_DE", "LANG": "en_US"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale(environment: dict[str, str], language: str) -> None:
    assert choose_language(environment) == language
