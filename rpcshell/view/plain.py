"""Results as plain text, for files, pipes and other programs: no colours, no screen.

What they look like on a screen is `render`'s business.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from rpcshell.view.escape import visible, visible_json
from rpcshell.view.settings import Settings
from rpcwire import TextFloat, encode_value


def compact(value: object) -> str:
    r"""JSON on one line that is safe on a terminal: readable text as it is, controls as \uXXXX."""
    return visible_json(encode_value(value).decode())


def json_value(value: object) -> Any:
    """What is made of structs and other things as JSON has them; numbers stay as they were written."""
    return msgspec.to_builtins(value, builtin_types=(TextFloat,))


def plain_text(value: Any, settings: Settings, *, indented: bool, width: int | None = None) -> Iterator[str]:
    """A result as plain text in the format of the settings, ending in a newline.

    Where it goes to a terminal, `width` is its columns; without one it is exact. JSON is `indented` for people.
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
