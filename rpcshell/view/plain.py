"""Results as plain text, for files, pipes and other programs, and what is said of an error: no colours, no screen.

What they look like on a screen is `render`'s business.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from rpcshell.client.errors import CallError, ShellError
from rpcshell.view.escape import visible, visible_json
from rpcshell.view.settings import Settings
from rpcwire import ErrorCode, TextFloat, encode_value

_FOR_PROGRAMS: Final = "; rpc.discover lists the methods"
"""What our server advises where it knows no near name."""


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


def in_the_shells_words(error: ShellError) -> tuple[str, str | None]:
    """The message and the hint of an error, where a server speaks to programs.

    They are the error's own, but for a method that is not there: then the hint is how to find one.
    """
    if not isinstance(error, CallError) or error.code != ErrorCode.METHOD_NOT_FOUND:
        return error.message, error.hint
    near = error.data.get("suggestions") if isinstance(error.data, dict) else None
    return error.message.removesuffix(_FOR_PROGRAMS), error.hint or (None if near else ":methods lists what there is")
