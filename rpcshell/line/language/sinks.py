"""Where a line's result goes instead of the screen: `| shell command`, `> file` and `>> file`, at its end."""

import re

from rpcshell.line.language.nodes import Pipe, Redirect, Sink
from rpcshell.line.language.scan import Scan
from rpcshell.line.language.tokens import Severity, TokenKind
from rpcshell.line.language.words import read_word

# The quoting of a POSIX shell: a quoted text may span rows, and so may a command whose row ends with a backslash.
_SHELL = re.compile(
    r"""[^'"\\\n\#]+|(?<!\s)\#|\#[^\n]*|\\.?
    |"[^"\\]*+(?:\\.?[^"\\]*+)*+(?P<double>"?)|'[^']*+(?P<single>'?)""",
    re.DOTALL | re.VERBOSE,
)

_CHUNK = re.compile(r"\S+")


def at_sink(scan: Scan) -> bool:
    """Whether the head is at a `|` or a `>`."""
    return scan.char in ("|", ">")


def read_sink(scan: Scan) -> Sink:
    """Read the sink at the head of `scan`; what follows it is left."""
    if scan.char == "|":
        scan.take(TokenKind.OPERATOR, scan.pos + 1)
        _skip_row_blanks(scan)
        return _read_pipe(scan)
    append = scan.text.startswith(">>", scan.pos)
    scan.take(TokenKind.OPERATOR, scan.pos + 1 + append)
    _skip_row_blanks(scan)
    if scan.at_end or scan.char == "\n":
        _missing(scan, "the name of a file is missing", "the name of a file")
        return Redirect("", scan.pos, scan.pos, append)
    word = read_word(scan)
    if not word.text:
        scan.problem("the name of a file is empty", word.start, word.end, "the name of a file")
    return Redirect(word.text, word.start, word.end, append)


def read_end(scan: Scan, message: str) -> None:
    """Consume what is left of the text; nothing but blanks and comments may be."""
    scan.skip_blank()
    if scan.at_end:
        return
    rest = scan.text[scan.pos :].rstrip()
    scan.problem(message, scan.pos, scan.pos + len(rest), "the end of the line")
    while not scan.at_end:
        if chunk := _CHUNK.match(scan.text, scan.pos):
            scan.take(TokenKind.ERROR, chunk.end())
        scan.skip_blank()


def _read_pipe(scan: Scan) -> Pipe:
    text = scan.text
    start = pos = scan.pos
    while pos < len(text) and (piece := _SHELL.match(text, pos)) is not None:
        pos = piece.end()
        if "" in (piece["double"], piece["single"]):
            scan.open_string(piece[0][0])
    command = text[start:pos].rstrip()
    end = start + len(command)
    if not command:
        _missing(scan, "a shell command is missing", "a shell command such as `jq .`")
    scan.take(TokenKind.WORD, end)
    return Pipe(command, start, end)


def _skip_row_blanks(scan: Scan) -> None:
    row = scan.text.find("\n", scan.pos)
    end = len(scan.text) if row < 0 else row
    scan.take(TokenKind.WHITESPACE, end - len(scan.text[scan.pos : end].lstrip()))


def _missing(scan: Scan, message: str, expected: str) -> None:
    severity = Severity.UNFINISHED if not scan.text[scan.pos :].strip() else Severity.ERROR
    scan.problem(message, scan.pos, scan.pos, expected, severity)
