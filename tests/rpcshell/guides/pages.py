"""The pages that users read, README and the guides, and the blocks in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[3]
GUIDES: Final = ROOT / "rpcshell/guides"
EXAMPLES: Final = ROOT / "tests/examples"
PAGES: Final = {str(page.relative_to(ROOT)): page for page in [ROOT / "README.md", *sorted(GUIDES.rglob("*.md"))]}

_BLOCK: Final = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of a page: which one, in which language, and what stands in it."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.language}:{self.number}"


BLOCKS: Final = [
    Block(name, number, *found.groups())
    for name, page in PAGES.items()
    for number, found in enumerate(_BLOCK.finditer(page.read_text()), 1)
]


def blocks(*languages: str) -> list[Block]:
    """Those in some languages."""
    return [block for block in BLOCKS if block.language in languages]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", page.read_text())
