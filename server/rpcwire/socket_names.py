"""How the name of a Unix socket is written where only UTF-8 can be: a byte that is none is `\\udc80` to `\\udcff`.

Python has such bytes as halves of surrogate pairs with these numbers (PEP 383), and JSON carries none.
"""

from __future__ import annotations

import re
from typing import Final

_WRITTEN: Final = re.compile(r"\\udc([89a-f][0-9a-f])")
_LOW: Final = 0xDC00


def written_name(name: str) -> str:
    """A name as it is written."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def meant_name(text: str) -> str:
    """The name that was written, for what the system calls take."""
    return _WRITTEN.sub(lambda found: chr(_LOW + int(found[1], 16)), text) if "\\udc" in text else text
