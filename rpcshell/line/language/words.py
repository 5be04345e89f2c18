"""Words with the quoting of a POSIX shell (sh(1), section 2.2) and none of its expansions."""

import re

from rpcshell.line.language.nodes import Word
from rpcshell.line.language.scan import Scan
from rpcshell.line.language.tokens import TokenKind

_PIECE = re.compile(
    r"""(?P<plain>[^\s"'\\]+)
    |\\(?P<escaped>.?)
    |"(?P<double>[^"\\]*+(?:\\.?[^"\\]*+)*+)(?P<double_end>"?)
    |'(?P<single>[^']*+)(?P<single_end>'?)""",
    re.DOTALL | re.VERBOSE,
)
_DOUBLE_ESCAPE = re.compile(r'\\(["\\])')


def read_word(scan: Scan) -> Word:
    """Read the word at the head of `scan`, which is not at a blank."""
    start = pos = scan.pos
    parts: list[str] = []
    quoted = False
    while piece := _PIECE.match(scan.text, pos):
        pos = piece.end()
        plain, escaped, double, double_end, single, single_end = piece.groups()
        if plain is not None:
            parts.append(plain)
        elif escaped is not None:
            # A backslash with nothing after it is one that is still being typed.
            parts.append(escaped or "\\")
            quoted = True
        else:
            quoted = True
            parts.append(_DOUBLE_ESCAPE.sub(r"\1", double) if double is not None else single)
            if not (double_end or single_end):
                scan.open_string('"' if double is not None else "'")
    if quoted:
        kind = TokenKind.STRING
    else:
        kind = TokenKind.OPTION if len(parts[0]) > 1 and parts[0][0] == "-" else TokenKind.WORD
    scan.take(kind, pos)
    return Word("".join(parts), start, pos, quoted)
