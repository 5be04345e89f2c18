"""Documentation that servers give, which is mostly docstrings and Markdown, as plain text for a terminal.

What makes text readable without colours is kept: paragraphs are filled, lists hang, code stays as it is. Marks that are
for a renderer go. No document is too odd: what is not understood is a paragraph.
"""

import re
import textwrap
from collections.abc import Iterator
from typing import Final

from rpcshell.line.brief import brief
from rpcshell.view.escape import visible

_ITEM: Final = re.compile(r"(?P<mark>[-*+•]|\d{1,3}[.)])[ \t]+")
_HEADING: Final = re.compile(r"#{1,6}[ \t]+(?P<text>.*?)[ \t#]*")
_UNDERLINE: Final = re.compile(r"[=\-~^]{3,}")
_FENCE: Final = re.compile(r"(```|~~~).*")
_STRONG: Final = re.compile(r"(?<!\w)(\*\*|__)(?=\S)(.{1,200}?)(?<=\S)\1(?!\w)")
_LINK: Final = re.compile(r"\[([^\[\]]{1,200})\]\(([^()\s]{1,500})\)")
_CODE_MARGIN: Final = "    "

_LONGEST: Final = 20_000
"""Characters that are shown; whoever writes more does not write for people."""

_LONGEST_HEADING: Final = 200


def prose(text: str, width: int) -> list[str]:
    """The lines of a text from a server, safe for a terminal; code may be wider than the columns to fill."""
    text = brief(text, _LONGEST)
    lines: list[str] = []
    for block, is_code in _blocks(visible(text.expandtabs(4), newlines=True)):
        if lines:
            lines.append("")
        lines += [f"{_CODE_MARGIN}{line}".rstrip() for line in block] if is_code else _filled(block, width)
    return lines


def _blocks(text: str) -> Iterator[tuple[list[str], bool]]:
    """The blocks between blank lines, and whether each is code: fenced, or indented."""
    block: list[str] = []
    fence = ""
    for line in [*text.strip("\n").splitlines(), ""]:
        if fence:
            if line.strip().startswith(fence):
                yield textwrap.dedent("\n".join(block)).splitlines(), True
                block, fence = [], ""
            else:
                block.append(line)
        elif found := _FENCE.fullmatch(line.strip()):
            yield from _plain(block)
            block, fence = [], found[1]
        elif line.strip():
            block.append(line)
        else:
            yield from _plain(block)
            block = []
    yield from _plain(block)


def _plain(block: list[str]) -> Iterator[tuple[list[str], bool]]:
    if block:
        is_code = all(line.startswith("    ") for line in block) and not _ITEM.match(block[0].lstrip())
        yield (textwrap.dedent("\n".join(block)).splitlines() if is_code else block), is_code


def _filled(block: list[str], width: int) -> list[str]:
    """The lines of a block that is no code, its paragraph or its list items filled."""
    filled: list[str] = []
    paragraph: list[str] = []
    margin = hang = ""

    def flush() -> None:
        if paragraph:
            text = _unmarked(" ".join(paragraph))
            filled.extend(textwrap.wrap(text, width, initial_indent=margin, subsequent_indent=hang))
            paragraph.clear()

    for line in block:
        stripped = line.strip()
        if _UNDERLINE.fullmatch(stripped):
            flush()
        elif len(stripped) <= _LONGEST_HEADING and (heading := _HEADING.fullmatch(stripped)):
            flush()
            filled.append(_unmarked(heading["text"]))
        elif item := _ITEM.match(stripped):
            flush()
            indent = " " * min(len(line) - len(line.lstrip()), width // 3)
            margin, hang = f"{indent}{item[0].rstrip()} ", indent + " " * (len(item[0].rstrip()) + 1)
            paragraph.append(stripped[item.end() :])
        else:
            paragraph.append(stripped)
    flush()
    return filled


def _unmarked(text: str) -> str:
    return _LINK.sub(r"\1 (\2)", _STRONG.sub(r"\2", text)).replace("``", "`")
