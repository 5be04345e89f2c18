"""The colours of the prompt and of replies: terminal colours by name, so that the user's own theme decides.

JSON has pygments' token names here too, so that any pygments style can take the place of these.
"""

from __future__ import annotations

from typing import Final

from prompt_toolkit.styles import Style

__all__ = ["THEME"]

THEME: Final = Style(
    [
        # JSON, typed or received.
        ("pygments.name.tag", "ansiblue"),
        ("pygments.literal.string.double", "ansigreen"),
        ("pygments.literal.number", "ansicyan"),
        ("pygments.keyword.constant", "ansimagenta"),
        ("pygments.punctuation", ""),
        ("pygments.comment", "italic ansibrightblack"),
        ("pygments.error", "underline ansired"),
        # The rest of a line.
        ("method", "bold"),
        ("method.unknown", "nobold underline"),
        ("command", "bold ansimagenta"),
        ("option", "ansicyan"),
        ("variable", "ansiyellow"),
        ("matching-bracket.cursor", "bold reverse"),
        ("matching-bracket.other", "bold reverse"),
        ("auto-suggestion", "ansibrightblack"),
        # Around it.
        ("prompt", "bold"),
        ("prompt.lost", "bold ansired"),
        ("bottom-toolbar", "noreverse"),
        ("bottom-toolbar.text", "noreverse"),
        ("bottom-toolbar.problem", "noreverse ansiyellow"),
        # What is shown.
        ("out", "bold"),
        ("footer", "ansibrightblack"),
        ("note", "ansibrightblack"),
        ("hint", "ansibrightblack"),
        ("error", "bold ansired"),
    ]
)
"""The style of everything."""
