"""Scripts cut into statements as their lines arrive. What one does is `rpcshell.shell.shell`'s business."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import msgspec

from rpcshell.client.errors import UsageError
from rpcshell.line.language import Assembler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Statement", "read_statements"]


class Statement(msgspec.Struct, frozen=True):
    """One call or command of a script.

    Attributes:
        text: One line, or several where brackets are open across them.
        place: Where it begins, as `file:line`; empty for a line of the command line.
    """

    text: str
    place: str = ""


def read_statements(lines: Iterable[bytes], name: str) -> Iterator[Statement]:
    """Cut a script in UTF-8 into statements, as its lines arrive. Blank lines and comments are left out.

    Raises:
        UsageError: A line is not UTF-8.
    """
    assembler = Assembler()
    began: int | None = None
    for number, raw in enumerate(lines, 1):
        line = _decoded(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, f"{name}:{number}")
        if began is None:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            began = number
        text = assembler.feed(line)
        if text is not None:
            yield Statement(text, f"{name}:{began}")
            began = None
    unfinished = assembler.end()
    if unfinished is not None:
        yield Statement(unfinished, f"{name}:{began}")


def _decoded(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{place}: byte {error.start + 1} of this line is not UTF-8") from None
