"""The colours of the prompt and of replies: a light or a dark set, one for any background, or a pygments style.

All can be read on the background they are for; which of the colours can is `contrast`'s to say. JSON has pygments'
token names here too, so that a style of pygments says it all.
"""

from __future__ import annotations

from typing import Final

import msgspec
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from rpcshell.prompt.contrast import BLACK, RGB, WHITE, is_dark, readable
from rpcshell.prompt.palettes import ANYWHERE, CONSOLE, DARK, LIGHT, Palette


def theme_names() -> tuple[str, ...]:
    """The styles of pygments, in alphabetical order."""
    # The themes of most users are ours.
    from rpcshell.prompt.pygments_themes import style_names

    return style_names()


def theme_style(name: str, background: RGB | None = None, depth: ColorDepth = ColorDepth.DEPTH_8_BIT) -> Style:
    """The style of everything under a theme, with colours that can be read on the background.

    `auto` goes by the background, `light` and `dark` are named by theirs; else it is a style of pygments. A background
    that is None may be black or white. With a depth of 16 colours pastels would be greys.

    Raises:
        UsageError: There is no such style.
    """
    if name == "auto" and background is None:
        return THEME
    backgrounds = (BLACK, WHITE) if background is None else (background,)
    match name:
        case "auto" | "dark" if depth == ColorDepth.DEPTH_4_BIT and is_dark(backgrounds[0]):
            return _style(CONSOLE)
        case "auto":
            return _style(_on(DARK if is_dark(backgrounds[0]) else LIGHT, backgrounds))
        case "light":
            return _style(_on(LIGHT, (WHITE,)))
        case "dark":
            return _style(_on(DARK, (BLACK,)))
    from rpcshell.prompt.pygments_themes import style_colours

    return _style(_on(style_colours(name), backgrounds))


def _on(palette: Palette, backgrounds: tuple[RGB, ...]) -> Palette:
    """A palette with the nearest colours that can be read on the backgrounds."""
    looks = {
        role: " ".join(readable(word, backgrounds) if word.startswith("#") else word for word in look.split())
        for role, look in msgspec.structs.asdict(palette).items()
    }
    return Palette(**looks)


def _style(palette: Palette) -> Style:
    return Style(
        [
            # JSON, typed or received.
            ("pygments.name.tag", palette.key),
            ("pygments.literal.string.double", palette.string),
            ("pygments.literal.number", palette.number),
            ("pygments.keyword.constant", palette.constant),
            ("pygments.punctuation", ""),
            ("pygments.comment", palette.comment),
            ("pygments.operator", ""),
            ("pygments.error", f"underline {palette.error}"),
            # The rest of a line.
            ("method", palette.method),
            ("method.unknown", "nobold underline"),
            ("command", palette.command),
            ("option", palette.option),
            ("variable", palette.variable),
            ("matching-bracket.cursor", "noinherit bold reverse"),
            ("matching-bracket.other", "noinherit bold reverse"),
            ("auto-suggestion", palette.faint),
            ("problem", f"underline {palette.problem}"),
            ("place", f"italic {palette.faint}".replace("italic italic", "italic")),
            ("place.default", "underline"),
            # What prompt_toolkit has colours for that cannot be read everywhere.
            ("control-character", f"noinherit {palette.problem}"),
            ("nbsp", f"noinherit underline {palette.problem}"),
            ("digraph", f"noinherit {palette.problem}"),
            ("tab", f"noinherit {palette.faint}"),
            ("trailing-whitespace", f"noinherit {palette.faint}"),
            ("aborting", "noinherit"),
            ("exiting", "noinherit"),
            ("search", "noinherit reverse"),
            ("completion-menu.completion.current", "noinherit bg:#444444 #ffffff"),
            # The prompt and its toolbar.
            ("prompt", "bold"),
            ("prompt.lost", f"bold {palette.error}"),
            ("bottom-toolbar", "noreverse"),
            ("bottom-toolbar.text", "noreverse"),
            ("bottom-toolbar.problem", f"noreverse {palette.problem}"),
            ("bottom-toolbar.focus", "noreverse bold"),
            ("bottom-toolbar.keys", f"noreverse {palette.faint}"),
            ("bottom-toolbar.mode", "noreverse bold"),
            ("documentation.title", "bold"),
            ("documentation.name", ""),
            ("documentation.here", "bold reverse"),
            ("documentation.type", palette.number),
            ("documentation.faint", palette.faint),
            # What happens to a server.
            ("good", palette.string),
            ("bad", palette.error),
            # A server on the whole screen.
            ("top.low", palette.string),
            ("top.high", palette.problem),
            ("top.full", f"bold {palette.error}"),
            # A server's log.
            ("log.time", palette.faint),
            ("log.debug", palette.faint),
            ("log.info", palette.string),
            ("log.warning", palette.problem),
            ("log.error", f"bold {palette.error}"),
            ("log.critical", f"bold reverse {palette.error}"),
            ("log.who", palette.number),
            ("log.faint", palette.faint),
            # Answers of workers beside each other.
            ("different", f"bold {palette.problem}"),
            # What is shown.
            ("out", "bold"),
            ("footer", palette.faint),
            ("note", palette.faint),
            ("hint", palette.faint),
            ("error", f"bold {palette.error}"),
        ]
    )


THEME: Final = _style(ANYWHERE)
"""The style of everything where nothing is known of the terminal's background."""
