"""How many columns of a terminal text takes, and cutting it to what there is room for.

Text is measured by grapheme clusters (Unicode TR 29), so that neither an accent nor a joined emoji is torn off. It has
been made safe before: control characters have no width here.
"""

from typing import Final

ELLIPSIS: Final = "…"
"""What stands where text was cut."""


def cells(text: str) -> int:
    """Columns that safe text takes on a screen."""
    if text.isascii():
        return len(text)
    # Most texts are ASCII, here and below.
    from wcwidth import wcswidth

    width = wcswidth(text)
    return width if width >= 0 else len(text)


def cut(text: str, columns: int) -> str:
    """Safe text of one line that takes at most so many columns, at least 1, with an ellipsis where some had to go."""
    if cells(text) <= columns:
        return text
    if text.isascii():
        return text[: columns - 1] + ELLIPSIS
    from wcwidth import iter_graphemes

    kept: list[str] = []
    room = columns - 1
    for cluster in iter_graphemes(text):
        room -= cells(cluster)
        if room < 0:
            break
        kept.append(cluster)
    # Beside each other some clusters take more than each for itself: halves of flags, for one.
    while kept and cells("".join(kept)) >= columns:
        kept.pop()
    return "".join(kept) + ELLIPSIS


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Safe text of one line with spaces before or after it up to a number of columns, if it does not take more."""
    spaces = " " * (columns - cells(text))
    return spaces + text if right else text + spaces
