"""Replies and errors as styled pieces of text, for a screen to draw.

Styles are names, not colours, and all text is safe for a terminal. Nothing here draws, measures a screen or
pages, and nothing imports prompt_toolkit or pygments. How a value looks as JSON is `pretty`'s, as a table `table`'s.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from rpcshell.client.errors import CallError, ShellError, SpawnFailed, SyntaxProblem, Unexpected
from rpcshell.line.masking import blot_line, mask_value
from rpcshell.view.escape import visible, visible_json
from rpcshell.view.plain import in_the_shells_words
from rpcshell.view.pretty import Fragment, render_json
from rpcshell.view.settings import Settings
from rpcshell.view.styles import ERROR, FAINT, HINT, TITLE
from rpcshell.view.table import render_table
from rpcshell.view.units import call_time, count_of
from rpcshell.view.width import cells
from rpcwire import ErrorCode, Meta, encode_value

_BETWEEN: Final = " · "
_CHUNK: Final = 1 << 16
_NEAR_NAMES: Final = 3
_RESERVED: Final = range(-32768, -31999)
"""Error codes that JSON-RPC 2.0 (section 5.1) keeps for itself and for servers."""


def render_result(out: str, result: Any, width: int, settings: Settings, *, text: bool = False) -> Iterator[Fragment]:
    """The out name and the result of a reply in the format that was set, ending in a newline.

    One that is a `text` to be read is shown as that in any format.
    """
    if settings.format == "raw":
        yield from _raw(result)
        return
    yield TITLE, visible(out)
    if text:
        lines = result.replace("\r\n", "\n").removesuffix("\n")
        yield "", "\n" if "\n" in lines else " "
        yield from _raw(lines)
        return
    yield from _after_name(result, width, cells(visible(out)), settings)


def render_value(name: str, value: Any, width: int, settings: Settings) -> Iterator[Fragment]:
    """A value that is shown without a call, such as a variable's, as a result would be, ending in a newline."""
    if settings.format == "raw":
        yield from _raw(value)
        return
    yield FAINT, visible(name)
    yield from _after_name(value, width, cells(visible(name)), settings)


def _after_name(value: Any, width: int, column: int, settings: Settings) -> Iterator[Fragment]:
    if settings.format == "table" and isinstance(value, dict | list) and value:
        yield FAINT, f" {count_of(len(value), 'row')}\n" if isinstance(value, list) else "\n"
        yield from render_table(value, width, max_rows=settings.max_rows)
        return
    yield "", " "
    yield from render_json(value, width, column=column + 1, indent=settings.indent)
    yield "", "\n"


def _raw(result: Any) -> Iterator[Fragment]:
    """A text as it is, anything else as compact JSON."""
    text = result if isinstance(result, str) else encode_value(result).decode()
    for start in range(0, len(text), _CHUNK):
        part = text[start : start + _CHUNK]
        yield "", visible(part, newlines=True) if text is result else visible_json(part)
    if not text.endswith("\n"):
        yield "", "\n"


def render_footer(
    elapsed: float, meta: Meta | None, settings: Settings, width: int | None = None, *, instance: str = ""
) -> str:
    """How long a call took and who served it, without a newline at the end; empty if neither is to be told.

    Over a fleet that is an instance too. It has lines of a `width`, or one line however long.
    """
    parts = []
    if settings.time:
        served = -1.0 if meta is None else meta.service_us / 1e6
        parts.append(call_time(elapsed))
        # What no clock of ours could have measured is no figure to show.
        if 0 <= served <= elapsed:
            parts.append(f"{_share(served, elapsed)} server, {_share(elapsed - served, elapsed)} waiting")
    if settings.meta and instance:
        parts.append(instance)
    if settings.meta and meta is not None:
        parts += [f"worker {meta.worker}", f"pid {meta.pid}"]
    lines: list[str] = []
    for part in parts:
        if lines and (width is None or len(lines[-1]) + len(_BETWEEN) + len(part) <= width):
            lines[-1] += _BETWEEN + part
        else:
            lines.append(part)
    return "\n".join(lines)


def render_error(error: ShellError, width: int, settings: Settings) -> Iterator[Fragment]:
    """An error in as few lines as say it, the last one ending in a newline.

    A server that did not start because the user's own code failed shows that code's traceback and no more.
    """
    if isinstance(error, SpawnFailed) and error.traceback:
        yield "", visible(error.traceback.rstrip("\n"), newlines=True) + "\n"
        return
    label = f"error {error.code}: " if isinstance(error, CallError) else "error: "
    said, hint_said = in_the_shells_words(error)
    message = visible(said, newlines=True).rstrip("\n")
    yield ERROR, label
    yield "", message
    column = len(label) + cells(message)
    if isinstance(error, CallError) and error.data is not None and error.data != error.message:
        yield from _error_data(error, width, column)
    if hint_said and hint_said not in said:
        hint = visible(hint_said, newlines=True)
        yield "", " — " if column + 3 + cells(hint) <= width else "\n"
        yield HINT, hint
    yield "", "\n"
    if isinstance(error, SyntaxProblem):
        yield from _caret(error, width)
    if isinstance(error, Unexpected) and error.traceback:
        yield "", visible(error.traceback.rstrip("\n"), newlines=True) + "\n"
    if isinstance(error, CallError) and (
        footer := render_footer(error.elapsed, error.meta, settings, width, instance=error.instance)
    ):
        yield FAINT, footer + "\n"


def _share(seconds: float, whole: float) -> str:
    """A part of a duration in the unit of the whole."""
    if whole >= 1:
        return f"{seconds:.2f}" if whole < 60 else call_time(seconds)
    digits = 2 if whole < 0.01 else 1 if whole < 0.1 else 0
    return f"{seconds * 1000:.{digits}f}"


def _error_data(error: CallError, width: int, column: int) -> Iterator[Fragment]:
    """What the server added to an error and its message does not say: a place, near names, a traceback, the rest."""
    data = mask_value(error.data)
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
    names = [name for name in near[:_NEAR_NAMES] if isinstance(name, str)] if isinstance(near, list) else []
    if names and not any(_said(name, error.message) for name in names):
        question = f"did you mean {' or '.join(map(visible, names))}?"
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
    texts = value if isinstance(value, list) else [value]
    return all(isinstance(text, str) and text in message for text in texts)


def _caret(error: SyntaxProblem, width: int) -> Iterator[Fragment]:
    """The part of the line around the problem, with a caret under its place."""
    text = blot_line(error.line)
    start = text.rfind("\n", 0, error.column) + 1
    end = text.find("\n", error.column)
    line = text[start : end if end >= 0 else None]
    column = min(error.column - start, len(line))
    room = max(width - 4, 8)
    first = max(0, column - room // 2) if len(line) > room else 0
    before, after = visible(line[first:column]), visible(line[column : first + room])
    yield "", f"  {before}{after}\n"
    yield ERROR, f"  {' ' * cells(before)}^\n"
