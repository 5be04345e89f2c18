"""Colours that can be read on a background, by the contrast of WCAG 2.1 (success criterion 1.4.3); no terminal."""

from functools import cache
from typing import Final

RGB = tuple[int, int, int]

BLACK: Final[RGB] = (0, 0, 0)
WHITE: Final[RGB] = (255, 255, 255)

LEAST_CONTRAST: Final = 4.5
_STEPS: Final = (0, 95, 135, 175, 215, 255)
_GREYS: Final = range(8, 248, 10)


def contrast(one: RGB, other: RGB) -> float:
    """The ratio of the lighter to the darker of two colours, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def is_dark(background: RGB) -> bool:
    """Whether light colours are read better on a background."""
    return contrast(background, WHITE) > contrast(background, BLACK)


@cache
def readable(colour: str, backgrounds: tuple[RGB, ...]) -> str:
    """The colour nearest to one, as `#rrggbb`, that can be read on each of the backgrounds; empty where there is none.

    It is one of the 240 that terminals with 256 colours have in common.
    """
    wanted = int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
    fitting = _fitting(backgrounds)
    return "#{:02x}{:02x}{:02x}".format(*min(fitting, key=lambda one: _distance(one, wanted))) if fitting else ""


@cache
def _fitting(backgrounds: tuple[RGB, ...]) -> tuple[RGB, ...]:
    cube = [(red, green, blue) for red in _STEPS for green in _STEPS for blue in _STEPS]
    colours: list[RGB] = [*cube, *((grey, grey, grey) for grey in _GREYS)]
    return tuple(
        one for one in colours if all(contrast(one, background) >= LEAST_CONTRAST for background in backgrounds)
    )


def _luminance(colour: RGB) -> float:
    red, green, blue = (part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _distance(one: RGB, other: RGB) -> float:
    """How different two colours look: the sum of squares, weighted by the eye and by how red they are."""
    red = (one[0] + other[0]) / 2
    weights = (2 + red / 256, 4, 2 + (255 - red) / 256)
    return sum(weight * (a - b) ** 2 for weight, a, b in zip(weights, one, other, strict=True))
