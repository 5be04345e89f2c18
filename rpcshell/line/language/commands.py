"""Commands, `:name words…` and `!command`; words; and where a result goes instead of the screen: `| command`, `> file`.

Words have the quoting of a POSIX shell (sh(1), section 2.2) and none of its expansions.
"""

import re

from rpcshell.line.language.nodes import CommandLine, Pipe, Redirect, Sink, SystemLine, Word
from rpcshell.line.language.tokens import Scan, Severity, TokenKind

# Compiled when first needed, since most lines are calls: `re` keeps what it has compiled.
_NAME = r"""[^\s"']*"""
_SINK = r"\||>>?(?=[ \t]*[^\s>])"
_PIECE = r"""(?sx)(?P<plain>[^\s"'\\]+)
    |\\(?P<escaped>.?)
    |"(?P<double>[^"\\]*+(?:\\.?[^"\\]*+)*+)(?P<double_end>"?)
    |'(?P<single>[^']*+)(?P<single_end>'?)"""
_DOUBLE_ESCAPE = r'\\(["\\])'
# The quoting of a POSIX shell: a quoted text may span rows, and so may a command whose row ends with a backslash.
_SHELL = r"""(?sx)[^'"\\\n\#]+|(?<!\s)\#|\#[^\n]*|\\.?
    |"[^"\\]*+(?:\\.?[^"\\]*+)*+(?P<double>"?)|'[^']*+(?P<single>'?)"""
_CHUNK = r"\S+"


def read_command(scan: Scan) -> CommandLine:
    """Read the command at the head of `scan`, up to the end of the text; the head is at its colon."""
    start = scan.pos + 1
    name = re.compile(_NAME).match(scan.text, start)
    end = name.end() if name else start
    scan.take(TokenKind.COMMAND, end)
    if end == start:
        if scan.at_end:
            scan.unfinished("a command has a name", "the name of a command")
        else:
            scan.problem("a command has a name", start, start, "the name of a command, without a blank")
    words: list[Word] = []
    sink: Sink | None = None
    scan.skip_blank()
    while not scan.at_end and sink is None:
        if re.compile(_SINK).match(scan.text, scan.pos) and scan.text[scan.pos - 1].isspace():
            sink = read_sink(scan)
        else:
            words.append(_read_word(scan))
            scan.skip_blank()
    return CommandLine(scan.text[start:end], start, end, tuple(words), sink)


def read_system_line(scan: Scan) -> SystemLine:
    """Read the command of the system's shell at the head of `scan`, which is at its `!`, to the end of the text."""
    scan.take(TokenKind.OPERATOR, scan.pos + 1)
    _skip_row_blanks(scan)
    command = _read_pipe(scan)
    read_end(scan, "the command ends before this")
    return SystemLine(command)


def _read_word(scan: Scan) -> Word:
    start = pos = scan.pos
    parts: list[str] = []
    quoted = False
    piece_at = re.compile(_PIECE)
    while piece := piece_at.match(scan.text, pos):
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
            parts.append(re.sub(_DOUBLE_ESCAPE, r"\1", double) if double is not None else single)
            if not (double_end or single_end):
                scan.open_string('"' if double is not None else "'")
    if quoted:
        kind = TokenKind.STRING
    else:
        kind = TokenKind.OPTION if len(parts[0]) > 1 and parts[0][0] == "-" else TokenKind.WORD
    scan.take(kind, pos)
    return Word(start, pos, "".join(parts), quoted)


def at_sink(scan: Scan) -> bool:
    """Whether the head is at a `|` or a `>`."""
    return scan.char in ("|", ">")


def read_sink(scan: Scan) -> Sink:
    """Read the sink at the head of `scan`, up to the end of the text."""
    is_pipe = scan.char == "|"
    append = scan.text.startswith(">>", scan.pos)
    scan.take(TokenKind.OPERATOR, scan.pos + 1 + append)
    _skip_row_blanks(scan)
    sink = _read_pipe(scan) if is_pipe else _read_path(scan, append=append)
    read_end(scan, "the line ends before this")
    return sink


def _read_path(scan: Scan, *, append: bool) -> Redirect:
    if scan.at_end or scan.char == "\n":
        _missing(scan, "the name of a file is missing", "the name of a file")
        return Redirect(scan.pos, scan.pos, "", append)
    word = _read_word(scan)
    if not word.text:
        scan.problem("the name of a file is empty", word.start, word.end, "the name of a file")
    return Redirect(word.start, word.end, word.text, append)


def read_end(scan: Scan, message: str, expected: str = "the end of the line") -> None:
    """Consume what is left of the text; nothing but blanks and comments may be."""
    scan.skip_blank()
    if scan.at_end:
        return
    rest = scan.text[scan.pos :].rstrip()
    scan.problem(message, scan.pos, scan.pos + len(rest), expected)
    while not scan.at_end:
        if chunk := re.compile(_CHUNK).match(scan.text, scan.pos):
            scan.take(TokenKind.ERROR, chunk.end())
        scan.skip_blank()


def _read_pipe(scan: Scan) -> Pipe:
    text = scan.text
    start = pos = scan.pos
    piece_at = re.compile(_SHELL)
    while pos < len(text) and (piece := piece_at.match(text, pos)) is not None:
        pos = piece.end()
        if "" in (piece["double"], piece["single"]):
            scan.open_string(piece[0][0])
    command = text[start:pos].rstrip()
    end = start + len(command)
    if not command:
        _missing(scan, "a shell command is missing", "a shell command such as `jq .`")
    scan.take(TokenKind.WORD, end)
    return Pipe(start, end, command)


def _skip_row_blanks(scan: Scan) -> None:
    row = scan.text.find("\n", scan.pos)
    end = len(scan.text) if row < 0 else row
    scan.take(TokenKind.WHITESPACE, end - len(scan.text[scan.pos : end].lstrip()))


def _missing(scan: Scan, message: str, expected: str) -> None:
    severity = Severity.UNFINISHED if not scan.text[scan.pos :].strip() else Severity.ERROR
    scan.problem(message, scan.pos, scan.pos, expected, severity)
