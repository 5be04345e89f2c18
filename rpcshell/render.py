"""Replies and errors as styled pieces of text, for a screen to draw.

Styles are names, not colours, and all text is safe for a terminal. Nothing here draws, measures a screen or
pages, and nothing imports prompt_toolkit or pygments. How a value looks as JSON is `pretty`'s.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rpcshell.errors import CallError, SpawnFailed, SyntaxProblem
from rpcshell.escape import visible
from rpcshell.pretty import Fragment, cells, render_json
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.errors import ShellError
    from rpcshell.session import CallOutcome
    from rpcwire import Meta

__all__ = ["render_error", "render_footer", "render_result"]

OUT: Final = "class:out"
FOOTER: Final = "class:footer"
ERROR: Final = "class:error"
HINT: Final = "class:hint"

_NEAR_NAMES: Final = 3
_RESERVED: Final = range(-32768, -31999)
"""Error codes that JSON-RPC 2.0 (section 5.1) keeps for itself and for servers."""


def render_result(outcome: CallOutcome, width: int) -> Iterator[Fragment]:
    """The out name and the result of a reply, ending in a newline.

    Args:
        outcome: what a call brought.
        width: columns of the screen.
    """
    out = visible(outcome.reply.out)
    yield OUT, out
    yield "", " "
    yield from render_json(outcome.reply.result, width, column=cells(out) + 1)
    yield "", "\n"


def render_footer(elapsed: float, meta: Meta | None) -> str:
    """How long a call took and who served it, as one line without a newline.

    Args:
        elapsed: seconds from request to reply.
        meta: what the server told of itself.
    """
    parts = [_duration(elapsed)]
    if meta is not None:
        parts += [f"worker {meta.worker}", f"pid {meta.pid}"]
    return " · ".join(parts)


def render_error(error: ShellError, width: int) -> Iterator[Fragment]:
    """An error in as few lines as say it, the last one ending in a newline.

    A server that did not start because the user's own code failed shows that code's traceback and no more.

    Args:
        error: what went wrong.
        width: columns of the screen.
    """
    if isinstance(error, SpawnFailed) and error.traceback:
        yield "", visible(error.traceback.rstrip("\n"), newlines=True) + "\n"
        return
    label = f"error {error.code}: " if isinstance(error, CallError) else "error: "
    message = visible(error.message, newlines=True).rstrip("\n")
    yield ERROR, label
    yield "", message
    column = len(label) + cells(message)
    if isinstance(error, CallError) and error.data is not None:
        yield from _error_data(error, width, column)
    if error.hint and error.hint not in error.message:
        hint = visible(error.hint, newlines=True)
        yield "", " — " if column + 3 + cells(hint) <= width else "\n"
        yield HINT, hint
    yield "", "\n"
    if isinstance(error, SyntaxProblem):
        yield from _caret(error, width)
    if isinstance(error, CallError):
        yield FOOTER, render_footer(error.elapsed, error.meta) + "\n"


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60} s"
    digits = 2 if seconds < 0.001 else 1 if seconds < 0.1 else 0
    return f"{seconds * 1000:.{digits}f} ms"


def _error_data(error: CallError, width: int, column: int) -> Iterator[Fragment]:
    """What the server added to an error and its message does not say: a place, near names, a traceback, the rest."""
    data = error.data
    if not isinstance(data, dict):
        yield "", "\n"
        yield from render_json(data, width)
        return
    rest = {name: value for name, value in data.items() if name not in {"path", "suggestions", "traceback"}}
    path = data.get("path")
    # "$" is the params as a whole, which no message leaves out.
    if isinstance(path, str) and path != "$" and not _said(re.split(r"[.\[\]]", path.rstrip("]"))[-1], error.message):
        yield "", f" (at {visible(path)})"
    near = data.get("suggestions")
    if isinstance(near, list) and near and not any(_said(name, error.message) for name in near):
        question = f"did you mean {' or '.join(visible(str(name)) for name in near[:_NEAR_NAMES])}?"
        yield "", " — " if column + 3 + cells(question) <= width else "\n"
        yield HINT, question
    if isinstance(traceback := data.get("traceback"), str):
        yield HINT, "\n" + visible(traceback.rstrip("\n"), newlines=True)
    if error.code != ErrorCode.APPLICATION_ERROR and error.code in _RESERVED:
        rest = {name: value for name, value in rest.items() if not _said(value, error.message)}
    if rest:
        yield "", "\n"
        yield from render_json(rest, width)


def _said(value: object, message: str) -> bool:
    """Whether a message has the texts in a value already; servers put them in `data` for programs."""
    if isinstance(value, list):
        return all(_said(item, message) for item in value)
    return isinstance(value, str) and value in message


def _caret(error: SyntaxProblem, width: int) -> Iterator[Fragment]:
    """The part of the line around the problem, with a caret under its place."""
    start = error.line.rfind("\n", 0, error.column) + 1
    end = error.line.find("\n", error.column)
    line = error.line[start : end if end >= 0 else None]
    column = min(error.column - start, len(line))
    room = max(width - 4, 8)
    first = max(0, column - room // 2) if len(line) > room else 0
    before, after = visible(line[first:column]), visible(line[column : first + room])
    yield "", f"  {before}{after}\n"
    yield ERROR, f"  {' ' * cells(before)}^\n"
