"""Asking a terminal what colour it draws on, beside the keys: the question, and its answer among what is typed.

The question is xterm's OSC 11 (its control sequences, "Operating System Commands"), which most terminals, tmux and
screen know; who does not says nothing.
"""

import os
import re
import sys
from collections.abc import Callable
from typing import Final

from prompt_toolkit.input import Input
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.utils import is_dumb_terminal

from rpcshell.prompt.contrast import BLACK, RGB

_QUESTION: Final = "\x1b]11;?\x1b\\"

_SILENT: Final = r"linux|vt\d|ansi|cons|eterm|sun|wy\d|unknown"
"""Terminals (as TERM names them) that are not asked: they have no answer, and old ones may show the question."""

_COLOURLESS: Final = r"vt\d"
"""Terminals that have no colours, of those that know escape sequences."""

_BEGINNING: Final = "\x1b]11;"
_ANSWER: Final = r"\x1b\]11;([^\x07\x1b\x9c]*)(?:\x07|\x1b\\|\x9c|(?=\x1b[^\\]))"
"""An answer that is cut off ends where the next one, or a key, begins."""

_LONGEST: Final = 64

_COLOUR: Final = r"(?i)rgba?:([\da-f]{1,4})/([\da-f]{1,4})/([\da-f]{1,4})(?:/[\da-f]*)?"
"""How X11 writes one (XParseColor(3)), with one to four digits for each part."""


def terminal_output() -> Output:
    """The output of a prompt on stdout: one without escape sequences where the terminal knows none."""
    if is_dumb_terminal():
        return PlainTextOutput(sys.stdout)
    output = create_output()
    if not isinstance(output, Vt100_Output):
        return output
    # NO_COLOR is heeded there.
    output.default_color_depth = output.default_color_depth or _no_colours()
    silent = re.match(_SILENT, os.environ.get("TERM", ""))
    if silent or output.get_default_color_depth() == ColorDepth.DEPTH_1_BIT:
        return output
    depth, bell = output.default_color_depth, output.enable_bell
    return _AskingOutput.from_pty(output.stdout, term=output.term, default_color_depth=depth, enable_bell=bell)


def _no_colours() -> ColorDepth | None:
    """A depth without colours, where the terminal has none or nobody wants any (https://bixense.com/clicolors)."""
    wish = os.environ.get
    if any(wish(name, "0") not in {"", "0"} for name in ("CLICOLOR_FORCE", "FORCE_COLOR")):
        return None
    colourless = wish("CLICOLOR") == "0" or re.match(_COLOURLESS, wish("TERM", ""))
    return ColorDepth.DEPTH_1_BIT if colourless else None


def background_without_asking() -> RGB | None:
    """What the terminal draws on, where that needs no question: the console of Linux is black."""
    return BLACK if os.environ.get("TERM", "").startswith("linux") else None


class _AskingOutput(Vt100_Output):
    """Asks once, just before it asks for the first time where the cursor stands.

    Terminals answer one question after the other, and prompt_toolkit leaves the keys to nobody else before it knows
    where the cursor stands. So the answer comes while keys are read, however slow the line, and is never shown.
    """

    _asked = False

    def ask_for_cpr(self) -> None:
        if not self._asked:
            self._asked = True
            self.write_raw(_QUESTION)
        super().ask_for_cpr()


def hear_background(source: Input, told: Callable[[RGB], None]) -> None:
    """Have the answer taken out of what is typed; `told` is called in the event loop of the prompt."""
    if isinstance(source, Vt100Input):
        source.vt100_parser = AnswerParser(source.vt100_parser, told)


class AnswerParser(Vt100Parser):
    """Takes the answer out of what is typed, wherever it is, for `on_answer`, and gives the rest to another parser."""

    def __init__(self, keys: Vt100Parser, on_answer: Callable[[RGB], None]) -> None:
        super().__init__(keys.feed_key_callback)
        self._keys = keys
        self._on_answer = on_answer
        self._held = ""
        self._let_go = 0
        """How many of the first characters that are held the keys have had, as nothing had followed them."""

    def feed(self, data: str) -> None:
        """Take what was typed, but for the beginning of an answer, which waits for its end."""
        text, let_go = self._held + data, self._let_go
        self._held, self._let_go = "", 0
        if "\x1b" not in text:
            self._keys.feed(text)
            return
        if let_go and (late := re.match(_ANSWER, text)):
            self._answered(late)
            text, let_go = text[late.end() :], 0
        keys = re.sub(_ANSWER, self._answered, text)
        begun = _begun(keys)
        self._held = keys[begun:]
        if begun:
            self._keys.feed(keys[let_go:begun])
        else:
            self._let_go = min(let_go, len(keys))

    def flush(self) -> None:
        """Take an Escape, that nothing followed for a while, for the key, though it may yet begin an answer."""
        if not self._held.startswith(_BEGINNING):
            self._keys.feed(self._held[self._let_go :])
            self._let_go = len(self._held)
        self._keys.flush()

    def _answered(self, found: re.Match[str]) -> str:
        if colour := re.fullmatch(_COLOUR, found[1]):
            red, green, blue = (int(part, 16) * 255 // (16 ** len(part) - 1) for part in colour.groups())
            self._on_answer((red, green, blue))
        return ""


def _begun(keys: str) -> int:
    """Where the beginning of an answer stands at the end of some keys, which may be an Escape only."""
    at = keys.rfind(_BEGINNING)
    if at >= 0 and len(keys) - at < _LONGEST:
        return at
    at = keys.rfind("\x1b")
    return at if at >= 0 and _BEGINNING.startswith(keys[at:]) else len(keys)
