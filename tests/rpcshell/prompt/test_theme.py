"""Themes: ours and those of pygments, and what changes when one is chosen."""

from __future__ import annotations

import pytest

from rpcshell.client.errors import UsageError
from rpcshell.prompt.lexer import _STYLES
from rpcshell.prompt.theme import THEME, theme_names, theme_style
from rpcshell.view.settings import Settings
from tests.rpcshell.prompt.test_prompt import prompt_with

JSON = [_STYLES[kind] for kind in ("key", "string", "number", "keyword")]


def colours(theme: str) -> list[str | None]:
    style = theme_style(theme)
    return [style.get_attrs_for_style_str(name).color for name in JSON]


def test_auto_leaves_the_colours_to_the_terminal() -> None:
    assert theme_style("auto") is THEME
    assert all(colour and colour.startswith("ansi") for colour in colours("auto"))


def brightness(colour: str) -> float:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (0, 2, 4))
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


@pytest.mark.parametrize(("theme", "readable"), [("light", (0, 0.5)), ("dark", (0.5, 1))])
def test_light_and_dark_can_be_read_on_their_ground(theme: str, readable: tuple[float, float]) -> None:
    found = colours(theme)
    assert len(set(found)) == len(found)
    for colour in found:
        assert colour
        assert readable[0] <= brightness(colour) <= readable[1], colour


@pytest.mark.parametrize("theme", theme_names())
def test_every_style_of_pygments_is_a_theme(theme: str) -> None:
    assert theme_style(theme).style_rules


def test_a_style_of_pygments_gives_json_its_colours() -> None:
    assert colours("monokai") != colours("friendly")
    assert colours("monokai")[1] == "e6db74"


def test_what_is_no_theme_is_refused() -> None:
    with pytest.raises(UsageError, match="nonsense"):
        theme_style("nonsense")


def test_a_theme_is_applied_at_once_and_a_bad_one_at_start_is_only_told() -> None:
    settings = Settings()
    settings.set("theme", "nonsense")
    with prompt_with("", settings=settings) as prompt:
        before = prompt._prompt.style
        settings.set("theme", "monokai")
        assert prompt._prompt.style is not before
        assert prompt.screen._painter.style is prompt._prompt.style
        with pytest.raises(UsageError):
            settings.set("theme", "nonsense")
