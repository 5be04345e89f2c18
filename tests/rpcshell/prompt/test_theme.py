"""Themes: ours and those of pygments, and what changes when one is chosen."""

from __future__ import annotations

import pytest
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import _256_colors
from prompt_toolkit.styles import Style, merge_styles
from prompt_toolkit.styles.defaults import PROMPT_TOOLKIT_STYLE

from rpcshell.client.errors import UsageError
from rpcshell.prompt.contrast import BLACK, LEAST_CONTRAST, RGB, WHITE, contrast, is_dark, readable
from rpcshell.prompt.lexer import _STYLES
from rpcshell.prompt.theme import theme_names, theme_style
from rpcshell.view.settings import Settings
from tests.rpcshell.prompt.test_prompt import prompt_with

STEPS = (0, 95, 135, 175, 215, 255)
XTERM = [
    *((red, green, blue) for red in STEPS for green in STEPS for blue in STEPS),
    *((grey, grey, grey) for grey in range(8, 248, 10)),
]
"""The colours that terminals have behind their first 16."""

JSON = [_STYLES[kind] for kind in ("key", "string", "number", "keyword")]


def colours(theme: str) -> list[str | None]:
    style = theme_style(theme)
    return [style.get_attrs_for_style_str(name).color for name in JSON]


PROMPT_TOOLKIT = Style(PROMPT_TOOLKIT_STYLE)
SOLARIZED = (253, 246, 227)
DRACULA = (40, 42, 54)


def rgb(colour: str) -> RGB:
    return int(colour[:2], 16), int(colour[2:4], 16), int(colour[4:], 16)


def unreadable(theme: str, background: RGB | None, backgrounds: tuple[RGB, ...]) -> list[str]:
    """The styles of a theme that cannot be read on one of the backgrounds, with 256 colours or with all of them."""
    own = theme_style(theme, background)
    style = merge_styles([PROMPT_TOOLKIT, own])
    found = []
    for name in {name for name, _ in own.style_rules}:
        look = style.get_attrs_for_style_str(" ".join(f"class:{part}" for part in name.split()))
        for behind in backgrounds:
            plain = WHITE if is_dark(behind) else BLACK
            text, back = (rgb(part) if part else other for part, other in ((look.color, plain), (look.bgcolor, behind)))
            few = [
                XTERM[_256_colors[colour] - 16] if colour not in (plain, behind) else colour for colour in (text, back)
            ]
            if min(contrast(text, back), contrast(few[0], few[1])) < LEAST_CONTRAST:
                found.append(f"{name} of {theme} on {behind}")
    return found


@pytest.mark.parametrize(
    ("theme", "background", "backgrounds"),
    [
        ("light", None, (WHITE,)),
        ("dark", None, (BLACK,)),
        *(
            ("auto", background, (BLACK, WHITE) if background is None else (background,))
            for background in (None, BLACK, WHITE, SOLARIZED, DRACULA)
        ),
    ],
)
def test_everything_can_be_read_on_its_background(
    theme: str, background: RGB | None, backgrounds: tuple[RGB, ...]
) -> None:
    assert unreadable(theme, background, backgrounds) == []
    if background is not None or theme != "auto":
        found = [theme_style(theme, background).get_attrs_for_style_str(name).color for name in JSON]
        assert len(set(found)) == len(found)


def test_a_console_of_few_colours_has_bright_ones() -> None:
    # As the console of Linux has them (vt.c, `default_red` and so on).
    console = {"gray": "aaaaaa", "red": "ff5555", "green": "55ff55", "yellow": "ffff55", "magenta": "ff55ff"}
    found = theme_style("auto", BLACK, ColorDepth.DEPTH_4_BIT)
    for name in {name for name, _ in found.style_rules}:
        colour = found.get_attrs_for_style_str(f"class:{name}").color or "ansigray"
        if colour.startswith("ansi"):
            shown = console.get(colour.removeprefix("ansi").removeprefix("bright"), "55ffff")
            assert contrast(rgb(shown), BLACK) >= LEAST_CONTRAST, name
    assert len({found.get_attrs_for_style_str(name).color for name in JSON}) == len(JSON)


def test_styles_of_pygments_can_be_read_on_any_background() -> None:
    for theme in theme_names():
        assert unreadable(theme, None, (BLACK, WHITE)) == []


@pytest.mark.samples(5)
@pytest.mark.parametrize("theme", theme_names())
def test_every_style_of_pygments_is_a_theme(theme: str) -> None:
    assert theme_style(theme).style_rules


def test_a_style_of_pygments_gives_json_its_colours() -> None:
    assert colours("monokai") != colours("friendly")
    assert colours("monokai")[1] == readable("#e6db74", (BLACK, WHITE)).removeprefix("#")


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
