"""Results as plain text, for files, pipes and other programs: no colours, no screen.

What they look like on a screen is `render`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from rpcshell.view.escape import visible, visible_json
from rpcwire import encode_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.view.settings import Settings

__all__ = ["compact", "plain_text"]


def compact(value: object) -> str:
    r"""JSON on one line that is safe on a terminal: readable text as it is, controls as \uXXXX.

    Args:
        value: What a reply brought.
    """
    return visible_json(encode_value(value).decode())


def plain_text(value: Any, settings: Settings, *, indented: bool, width: int | None = None) -> Iterator[str]:
    """A result as plain text in the format of the settings, ending in a newline.

    Args:
        value: What JSON can hold.
        settings: Say the format.
        indented: Whether JSON is for people, over several lines, or one compact line.
        width: Columns of the terminal it goes to; None where it goes to no terminal, and has to be exact.
    """
    if settings.format == "table":
        from rpcshell.view.table import is_tabular, render_table

        if is_tabular(value):
            yield from (text for _, text in render_table(value, width))
            return
    if settings.format == "raw" and isinstance(value, str):
        # What was asked for is the text itself, as a file or a program wants it.
        yield value if width is None else visible(value, newlines=True)
        yield "" if value.endswith("\n") else "\n"
    elif indented and settings.indent > 0 and settings.format != "raw":
        yield msgspec.json.format(compact(value), indent=settings.indent)
        yield "\n"
    else:
        yield compact(value)
        yield "\n"
