"""Values as tables for people: a list of objects with a line for each, an object with a line for each of its keys.

Columns are aligned by what they take on a screen, numbers to the right. What is nested stands in its cell as compact
JSON. Where a screen is too narrow for all columns, cells are cut; where it is much too narrow, every object becomes a
small table of its own. Pieces of text are made when they are asked for, and their text is safe for a terminal.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from rpcshell.line.brief import json_beginning
from rpcshell.view.escape import visible, visible_json
from rpcshell.view.pretty import CONSTANT, KEY, NUMBER, PUNCTUATION, STRING, Fragment, plain_beyond_limit
from rpcshell.view.styles import FAINT
from rpcshell.view.units import count_of
from rpcshell.view.width import ELLIPSIS, cells, cut, pad
from rpcwire import encode_value

_GAP: Final = "  "
_RULE: Final = "─"

_NARROWEST: Final = 10
"""Columns below which what is left of a cell says too little."""

_SAMPLE: Final = 200
"""Rows that decide how wide the columns are on a screen; those after them may be cut."""

_PER_COLUMN: Final = 4
"""Characters of a text that are looked at for each column of a screen: accents take none."""

_LONGEST_NESTED: Final = 400
"""Characters of compact JSON on a screen; no deeper than it has written is it looked at."""

_MISSING: Final = object()
_VALUE: Final = object()
"""The key of what is no object in a list."""

_Row = dict[Any, Any]


class Figure(str):
    """A number with what it counts, such as `12 %` or `3.5 MB`: it stands in a table as numbers do."""

    __slots__ = ()


class _Cell(NamedTuple):
    style: str
    text: str


_EMPTY: Final = _Cell("", "")
_NULL: Final = _Cell(CONSTANT, "null")


class _Column(NamedTuple):
    width: int
    right: bool


def is_tabular(value: object) -> bool:
    """Whether a value has rows: an object or a list that holds something."""
    return isinstance(value, dict | list) and bool(value)


def render_table(value: Any, width: int | None, *, max_rows: int = 0) -> Iterator[Fragment]:
    """A tabular value as lines, each ending in a newline; without a width nothing is cut.

    Of a list, `max_rows` are shown, and how many more there are is said; 0 shows all.
    """
    lines = _object(value, width, max_rows) if isinstance(value, dict) else _list(value, width, max_rows)
    return plain_beyond_limit(lines)


def _object(value: _Row, width: int | None, max_rows: int) -> Iterator[Fragment]:
    """A line for each key; lists of objects follow as tables of their own."""
    tables = {key: item for key, item in value.items() if _is_list_of_objects(item)}
    yield from _line_for_each_key([(key, item) for key, item in value.items() if key not in tables], width)
    for place, (key, item) in enumerate(tables.items()):
        yield "", "\n" if place or len(tables) < len(value) else ""
        yield KEY, _title(key, width)
        yield FAINT, f" {count_of(len(item), 'row')}\n"
        yield from _list(item, width, max_rows)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _list(value: list[Any], width: int | None, max_rows: int) -> Iterator[Fragment]:
    shown = value[:max_rows] if max_rows else value
    if all(isinstance(item, list) for item in shown):
        rows: list[_Row] = [dict(enumerate(item)) for item in shown]
    else:
        rows = [item if isinstance(item, dict) else {_VALUE: item} for item in shown]
    keys = list(dict.fromkeys(chain.from_iterable(rows)))
    yield from _grid(keys, rows, width) if _may_fit(keys, width) else _table_for_each(rows, width)
    if len(shown) < len(value):
        yield FAINT, f"… {len(value) - len(shown)} more; :set max_rows 0 shows all\n"


def _may_fit(keys: Sequence[Any], width: int | None) -> bool:
    """Whether there could be room for a column for each key."""
    if width is None:
        return bool(keys)
    return 0 < len(keys) * (len(_GAP) + 1) <= width + len(_GAP)


def _grid(keys: Sequence[Any], rows: list[_Row], width: int | None) -> Iterator[Fragment]:
    """A line for each row, below a heading; or a table for each, where the columns do not fit."""
    titles = [_Cell(KEY, _title(key, width)) for key in keys]
    sample = rows if width is None else rows[:_SAMPLE]
    first = [_cells(row, keys, width) for row in sample]
    columns = _columns(titles, first, width)
    if columns is None:
        yield from _table_for_each(rows, width)
        return
    yield from _line(titles, columns)
    yield FAINT, _GAP.join(_RULE * column.width for column in columns) + "\n"
    for line in first:
        yield from _line(line, columns)
    for row in rows[len(sample) :]:
        yield from _line(_cells(row, keys, width), columns)


def _columns(titles: list[_Cell], lines: list[list[_Cell]], width: int | None) -> list[_Column] | None:
    """How wide the columns are, or None if they do not fit."""
    right = [_is_numeric(line[place] for line in lines) for place in range(len(titles))]
    widths = [max(cells(line[place].text) for line in (titles, *lines)) for place in range(len(titles))]
    if width is not None:
        # A number that is cut would be another number.
        least = [whole if number else min(whole, _NARROWEST) for whole, number in zip(widths, right, strict=True)]
        room = width - len(_GAP) * (len(widths) - 1)
        if sum(least) > room:
            return None
        widths = _fitted(widths, least, room)
    return [_Column(*column) for column in zip(widths, right, strict=True)]


def _fitted(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Take from the widest columns until all fit; there is room for what each keeps at `least`."""
    for limit in range(max(widths), -1, -1):
        fitted = [min(whole, max(limit, low)) for whole, low in zip(widths, least, strict=True)]
        if (left := room - sum(fitted)) >= 0:
            break
    else:
        raise ValueError("there is no room for what each has to have")
    for place, whole in enumerate(widths):
        if left and fitted[place] < whole:
            fitted[place] += 1
            left -= 1
    return fitted


def _is_numeric(column: Iterable[_Cell]) -> bool:
    return {cell.style for cell in column if cell not in {_EMPTY, _NULL}} == {NUMBER}


def _line(line: Sequence[_Cell], columns: Sequence[_Column]) -> Iterator[Fragment]:
    # What is missing at the end of a row needs no spaces.
    filled = [place for place, cell in enumerate(line) if cell.text]
    last = filled[-1] if filled else -1
    for place, ((style, text), (width, right)) in enumerate(zip(line[: last + 1], columns, strict=False)):
        shown = cut(text, width)
        yield style, pad(shown, width, right=right) + _GAP if place < last else pad(shown, width * right, right=True)
    yield "", "\n"


def _table_for_each(rows: Iterable[_Row], width: int | None) -> Iterator[Fragment]:
    for number, row in enumerate(rows, 1):
        yield FAINT, f"{_RULE * 2} {number} {_RULE * 2}\n"
        yield from _line_for_each_key(list(row.items()), width)


def _line_for_each_key(items: Sequence[tuple[Any, Any]], width: int | None) -> Iterator[Fragment]:
    if not items:
        return
    titles = [_title(key, width) for key, _ in items]
    column = max(cells(title) for title in titles)
    room = None
    if width is not None:
        # Values get at least half of the width, as they say more than the keys.
        column = min(column, max(width // 2 - len(_GAP), 1))
        room = max(width - column - len(_GAP), 1)
    for title, (_, item) in zip(titles, items, strict=True):
        yield KEY, pad(cut(title, column), column) + _GAP
        style, text = _cell(item, room)
        yield style, (text if room is None else cut(text, room)) + "\n"


def _cells(row: _Row, keys: Sequence[Any], width: int | None) -> list[_Cell]:
    return [_cell(row.get(key, _MISSING), width) for key in keys]


def _title(key: object, width: int | None) -> str:
    return visible("value" if key is _VALUE else _beginning(str(key), width)) or '""'


def _cell(value: Any, width: int | None) -> _Cell:
    """What stands in the cell of a value, or more of it than a screen of that width has room for."""
    match value:
        case Figure():
            return _Cell(NUMBER, visible(value))
        case str():
            text = visible(_beginning(value, width).replace("\n", "\\n").replace("\t", "\\t"))
            return _Cell(STRING, text or '""')
        case None | bool():
            return _NULL if value is None else _Cell(CONSTANT, "true" if value else "false")
        case int() | float():
            return _Cell(NUMBER, repr(value))
        case dict() | list():
            return _Cell(PUNCTUATION, _compact(value, width))
    return _EMPTY


def _beginning(text: str, width: int | None) -> str:
    most = None if width is None else width * _PER_COLUMN
    return text if most is None or len(text) <= most else text[:most] + ELLIPSIS


def _compact(value: object, width: int | None) -> str:
    """JSON on one line without blanks; its beginning, if a screen has no room for more."""
    if width is None:
        return visible_json(encode_value(value).decode())
    most = min(width, _LONGEST_NESTED)
    text, _ = json_beginning(value, most, blank="")
    return visible_json(text[:most]) + ELLIPSIS if len(text) > most else visible_json(text)


def fitting(rows: Sequence[dict[str, Any]], width: int | None, spare: Sequence[str]) -> list[dict[str, Any]]:
    """Objects that have the same keys, without the spare keys, first to last, that keep them from fitting."""
    rows = list(rows)
    for key in spare:
        text = "".join(text for _, text in render_table(rows, None))
        if width is None or max(map(cells, text.splitlines()), default=0) <= width:
            break
        rows = [{name: value for name, value in row.items() if name != key} for row in rows]
    return rows


def table_text(rows: Sequence[dict[str, Any]], width: int | None, *, spare: Sequence[str] = ()) -> str:
    """A table of objects that have the same keys, without a newline at its end."""
    return "".join(text for _, text in render_table(fitting(rows, width, spare), width)).rstrip("\n")
