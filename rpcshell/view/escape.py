r"""Text from a server made safe to show: what a terminal would act on, or not show at all, becomes visible.

A terminal obeys escape sequences (ECMA-48), also in their one-character C1 forms; bidirectional controls
reorder what is read (Unicode TR 36, section 3.2); characters without a shape hide text. All of them are
written as escapes, such as `\x1b` and `\u202e`. Readable text of any script stays as it is, joined emoji and
variation selectors included.

Layout, colours and cutting are not done here.
"""

import functools
import re
from collections.abc import Iterator
from typing import Final

_CONTROLS: Final = "\x00-\x1f\x7f-\x9f"
_CONTROLS_IN_LINES: Final = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_LINE_ENDS: Final = "\u2028\u2029"
_SURROGATES: Final = "\ud800-\udfff"

# General category Cf, without the marks that are themselves drawn (the Arabic and Kaithi number signs), and
# without the two joiners, which have their own rule.
_FORMATS: Final = (
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)

# Default_Ignorable_Code_Point of other categories: fillers, the grapheme joiner, Mongolian selectors, tags.
_IGNORABLES: Final = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)

_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_JOINERS: Final = "\u200c\u200d"

# What a selector may follow, and what a joiner may stand between: letters of the scripts that need them
# (Arabic, Syriac, the Indic scripts and their neighbours; those of East Asia for selectors) and pictographs.
_SCRIPTS: Final = "\u0600-\u061b\u061d-\u109f\u1780-\u17b3\u17b6-\u17ff\u1800-\u180a\u1810-\u18af"
_PICTOGRAPHS: Final = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_IDEOGRAPHS: Final = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KEYCAPS: Final = "0-9#*\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139"

_ANYWHERE: Final = _LINE_ENDS + _SURROGATES + _FORMATS + _IGNORABLES
_ASTRAY: Final = (
    f"[{_JOINERS}](?:(?<![{_SCRIPTS}{_PICTOGRAPHS}\ufe0f].)|(?![{_SCRIPTS}{_PICTOGRAPHS}]))"
    f"|[{_SELECTORS}](?<![{_SCRIPTS}{_PICTOGRAPHS}{_IDEOGRAPHS}{_KEYCAPS}].)"
)


def visible(text: str, *, newlines: bool = False) -> str:
    r"""Write what a terminal must not get as escapes, and leave the rest, line feeds and tabs too if `newlines`.

    The result is for reading: a backslash of the text itself is not doubled.
    """
    if _is_safe(text):
        return text
    return _unsafe(_CONTROLS_IN_LINES if newlines else _CONTROLS).sub(_escape, text)


def visible_json(text: str) -> str:
    r"""The same for JSON text of one line, with JSON's own escapes (`\u001b`): the value can be pasted back."""
    if _is_safe(text):
        return text
    return _unsafe(_CONTROLS).sub(_escape_json, text)


def hidden(text: str) -> Iterator[tuple[int, str]]:
    """Find what is not ASCII and `visible` writes as an escape: its place, and that escape."""
    if _is_safe(text):
        return
    for match in _unsafe(_CONTROLS).finditer(text):
        if not match[0].isascii():
            yield match.start(), _escape(match)


def _is_safe(text: str) -> bool:
    """Whether all of a text is drawn, as is soon told of what is in Latin-1: what a terminal acts on is not printable.

    Of other characters some are said to be printable that hide text.
    """
    if not text.isascii():
        try:
            text.encode("latin-1")
        except UnicodeEncodeError:
            return False
    return text.isprintable()


@functools.cache
def _unsafe(controls: str) -> re.Pattern[str]:
    """Compiled when first needed: it takes 10 ms, and most text is known to be safe without it."""
    return re.compile(f"[{controls}{_ANYWHERE}]|{_ASTRAY}")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _escape_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
