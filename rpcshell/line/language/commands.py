"""Commands: `:name words…`, and where their text goes."""

import re

from rpcshell.line.language.nodes import CommandLine, Sink, Word
from rpcshell.line.language.scan import Scan
from rpcshell.line.language.sinks import read_end, read_sink
from rpcshell.line.language.tokens import TokenKind
from rpcshell.line.language.words import read_word

_NAME = re.compile(r"""[^\s"']*""")
_SINK = re.compile(r"\||>>?(?=[ \t]*[^\s>])")


def read_command(scan: Scan) -> CommandLine:
    """Read the command at the head of `scan`, up to the end of the text; the head is at its colon."""
    start = scan.pos + 1
    name = _NAME.match(scan.text, start)
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
        if _SINK.match(scan.text, scan.pos) and scan.text[scan.pos - 1].isspace():
            sink = read_sink(scan)
            read_end(scan, "the line ends before this")
        else:
            words.append(read_word(scan))
            scan.skip_blank()
    return CommandLine(scan.text[start:end], start, end, tuple(words), sink)
