"""The words of commands as they are typed: quoted only where the language would read them otherwise."""

import re

_NEEDS_QUOTES = re.compile(r"""[\s"'\\#|>$]""")


def as_typed(raw: str) -> str:
    """What the user means by the part of a word left of the cursor: the text without its quotes."""
    return raw.replace("\\", "").replace('"', "").replace("'", "") if _NEEDS_QUOTES.search(raw) else raw


def as_word(text: str) -> str:
    """A text as a word."""
    if not _NEEDS_QUOTES.search(text):
        return text
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
