"""The colours of the shell's own themes, by what has them. Which parts of the screen these are is `theme`'s to say."""

from typing import Final

import msgspec


class Palette(msgspec.Struct, frozen=True):
    """Colours by what has them, each as prompt_toolkit writes styles."""

    key: str
    string: str
    number: str
    constant: str
    comment: str
    method: str
    command: str
    option: str
    variable: str
    faint: str
    problem: str
    error: str


ANYWHERE: Final = Palette(
    key="#5f5fff",
    string="#00875f",
    number="#875fd7",
    constant="#d700af",
    comment="italic #767676",
    method="bold",
    command="bold #d700af",
    option="#875fd7",
    variable="#af5f5f",
    faint="#767676",
    problem="#d700af",
    error="#af5f5f",
)
"""Colours that can be read on black and on white: there are no others among the 256."""

LIGHT: Final = Palette(
    key="#005faf",
    string="#006c2b",
    number="#00646e",
    constant="#8700af",
    comment="italic #6c6c6c",
    method="bold #1c1c1c",
    command="bold #8700af",
    option="#00646e",
    variable="#875f00",
    faint="#6c6c6c",
    problem="#af5f00",
    error="#c00000",
)
"""Those that can be read on white alone."""

DARK: Final = Palette(
    key="#87afff",
    string="#87d787",
    number="#5fd7ff",
    constant="#d7afff",
    comment="italic #949494",
    method="bold #eeeeee",
    command="bold #d7afff",
    option="#5fd7ff",
    variable="#ffd75f",
    faint="#949494",
    problem="#ffaf5f",
    error="#ff8787",
)
"""Those that can be read on black alone."""

CONSOLE: Final = Palette(
    key="ansibrightcyan",
    string="ansibrightgreen",
    number="ansibrightyellow",
    constant="ansibrightmagenta",
    comment="italic ansigray",
    method="bold",
    command="bold ansibrightmagenta",
    option="ansibrightyellow",
    variable="ansibrightyellow",
    faint="ansigray",
    problem="ansibrightyellow",
    error="ansibrightred",
)
"""Those of the first 16 that can be read on black, as the console of Linux has them."""
