"""Scripts cut into statements as their lines arrive. What one does is `rpcshell.shell.shell`'s business."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import msgspec

from rpcshell.client.errors import UsageError
from rpcshell.line.language import Assembler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Statement(msgspec.Struct, frozen=True):
    """One call or command of a script: one line, or several where brackets are open across them."""

    text: str
    place: str = ""
    """Where it begins, as `file:line`; empty for a line of the command line."""


def read_statements(lines: Iterable[bytes], name: str) -> Iterator[Statement]:
    """Cut a script in UTF-8 into statements, as its lines arrive; blank ones and comments are left out.

    Raises:
        UsageError: A line is not UTF-8.
    """
    assembler = Assembler()
    began: int | None = None
    for number, raw in enumerate(lines, 1):
        try:
            line = (raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UsageError(f"{name}:{number}: byte {error.start + 1} of this line is not UTF-8") from None
        if began is None:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            began = number
        if (text := assembler.feed(line)) is not None:
            yield Statement(text, f"{name}:{began}")
            began = None
    if (unfinished := assembler.end()) is not None:
        yield Statement(unfinished, f"{name}:{began}")
