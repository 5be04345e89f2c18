"""Rows that a command shows: as a table to people, as JSON to whoever asked for that. Not a command itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.shell.shell import Shell

__all__ = ["duration", "show_rows", "size"]

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_KILO = 1000
_ROUNDED_SECOND = 0.9995
_UNITS = ((1e3, "kB"), (1e6, "MB"))


def show_rows(shell: Shell, rows: Sequence[dict[str, Any]], data: object = None, *, spare: Sequence[str] = ()) -> None:
    """Show objects that have the same keys.

    Args:
        shell: Where.
        rows: The objects; texts in them may come from a server.
        data: What programs get in their place, with numbers as they are.
        spare: Keys that are left out where the screen is too narrow, in the order in which they are.
    """
    if shell.for_programs:
        import msgspec

        shell.output.value("", msgspec.to_builtins(list(rows) if data is None else data))
        return
    width = shell.width
    shell.output.text(table_text(rows if width is None else _fitted(rows, width, spare), width))


def table_text(rows: Sequence[dict[str, Any]], width: int | None) -> str:
    """A table without a newline at its end.

    Args:
        rows: Objects that have the same keys.
        width: Columns of the screen, or None for as many as it takes.
    """
    from rpcshell.view.table import render_table

    return "".join(text for _, text in render_table(list(rows), width)).rstrip("\n")


def _fitted(rows: Sequence[dict[str, Any]], width: int, spare: Sequence[str]) -> Sequence[dict[str, Any]]:
    """Rows without as many of their keys as it takes for a table of them to fit."""
    from rpcshell.view.width import cells

    for key in spare:
        if max(map(cells, table_text(rows, None).splitlines()), default=0) <= width:
            break
        rows = [{name: value for name, value in row.items() if name != key} for row in rows]
    return rows


def duration(seconds: float) -> str:
    """A time as people say it, in at most two units.

    Args:
        seconds: From 0.
    """
    if seconds < _ROUNDED_SECOND:
        return f"{seconds * 1000:.3g} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"
    return f"{int(seconds // _DAY)} d {int(seconds % _DAY // _HOUR)} h"


def size(count: int) -> str:
    """A number of bytes as people say it.

    Args:
        count: From 0.
    """
    if count < _KILO:
        return f"{count} B"
    amount, unit = next(((count / scale, unit) for scale, unit in _UNITS if count < scale * _KILO), (count / 1e9, "GB"))
    return f"{amount:.3g} {unit}"
