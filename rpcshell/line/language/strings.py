"""Quoted strings: the pattern that finds one, and the meaning of its escapes (RFC 8259, section 7, and `\\'`)."""

import re

from rpcshell.line.language.scan import Scan

# `\\.?` lets a backslash be the last character of an unfinished line. The group is the closing quote, if any.
DOUBLE_QUOTED = r'"[^"\\]*+(?:\\.?[^"\\]*+)*+("?)'
SINGLE_QUOTED = r"'[^'\\]*+(?:\\.?[^'\\]*+)*+('?)"

STRING = re.compile(f"{DOUBLE_QUOTED}|{SINGLE_QUOTED}", re.DOTALL)

_ESCAPE = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.?)", re.DOTALL
)
_SIMPLE = {
    '"': '"',
    "'": "'",
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


def is_closed(match: re.Match[str]) -> bool:
    """Whether a match of `STRING` has its closing quote."""
    return bool(match[1] or match[2])


def decode(scan: Scan, start: int, end: int, *, closed: bool) -> str:
    """The meaning of the quoted string at `start` to `end`, quotes included; problems go to `scan`.

    Characters that JSON wants escaped, newlines above all, may stand for themselves here.
    """
    return decode_part(scan, start + 1, end - 1 if closed else end)


def decode_part(scan: Scan, first: int, last: int, *, template: bool = False) -> str:
    """The meaning of a part of a quoted string, without quotes; in a template a dollar sign may be escaped."""
    raw = scan.text[first:last]
    if "\\" not in raw:
        return raw

    def resolve(match: re.Match[str]) -> str:
        high, low, single, simple = match.groups()
        at = first + match.start()
        if high is not None:
            return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
        if single is not None:
            code = int(single, 16)
            if 0xD800 <= code <= 0xDFFF:
                scan.problem("half of a surrogate pair is not text", at, at + 6, "a pair such as \\ud83d\\ude00")
                return "\ufffd"
            return chr(code)
        if simple in _SIMPLE:
            return _SIMPLE[simple]
        if simple == "" or (simple == "$" and template):
            return simple
        if simple == "u":
            expected = "\\u and four hexadecimal digits"
            scan.problem("a \\u escape has four hexadecimal digits", at, at + 2, expected)
        else:
            scan.problem(f"unknown escape \\{simple}", at, at + 2, 'one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u')
        return simple

    return _ESCAPE.sub(resolve, raw)
