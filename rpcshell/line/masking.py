"""Which values are secrets, and lines, values and texts without them, as they may be kept, exported or told.

A secret is known by the name it is given: the value of a key such as `password` or `api_key`. Pure functions over
texts and JSON values; who writes what where is the business of others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.line.language import (
    ArrayNode,
    CallLine,
    CommandLine,
    KeywordNode,
    MissingNode,
    ObjectNode,
    Severity,
    ValueLine,
    VariableNode,
    parse,
    statements,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcshell.line.language import Line, Node, Token

__all__ = [
    "MASKED",
    "blot_bytes",
    "blot_line",
    "is_secret",
    "mask_line",
    "mask_message",
    "mask_text",
    "mask_texts",
    "mask_value",
]

MASKED: Final = "***"
"""What stands where a secret was; in a line it is quoted, so that the line still parses."""

_ANYWHERE: Final = ("password", "passwd", "passphrase", "secret", "credential", "authorization", "privatekey")
_AT_END: Final = ("token", "apikey", "accesskey", "pwd", "bearer", "cookie")
_SEPARATORS: Final = str.maketrans("", "", "_-. ")
_SHORTEST: Final = 4
"""Characters of the shortest value that is looked for in a text; shorter ones stand in other words too."""

_WORD: Final = re.compile(r"""[^\s"'{}\[\]<>,:=]+""")
_NAMED: Final = re.compile(
    r"""(?P<dashes>--?)?(?P<name>[\w.-]+)["']?(?P<mark>\s*[=:]\s*|\s+)
    (?P<value>"[^"]*"?|'[^']*'?|(?:(?:bearer|basic)\s+)?[^\s"']+)""",
    re.VERBOSE | re.IGNORECASE,
)
"""A name and what may be its value, in text that is no call: `key=value`, `Key: value`, `--key value`."""


def is_secret(key: str) -> bool:
    """Whether the value of a key is kept out of files, whatever the key's case and separators."""
    plain = key.translate(_SEPARATORS).lower()
    return plain.endswith(_AT_END) or any(word in plain for word in _ANYWHERE)


def mask_value(value: Any) -> Any:
    """A JSON value with the values of secret keys replaced, at any depth; the one given stays as it is.

    Null and booleans stay: that there is a password, or none, is no secret.
    """
    return _copied(value, lambda key, part: MASKED if isinstance(key, str) and _hides(key, part) else part)


def _copied(value: Any, replace: Callable[[str | int, Any], Any]) -> Any:
    """A copy of a JSON value, however deep, with what `replace` makes of each part and its key or place."""
    root = [value]
    todo: list[tuple[Any, Any]] = [(root, 0)]
    while todo:
        holder, place = todo.pop()
        part = replace(place, holder[place])
        if isinstance(part, dict):
            part = dict(part)
            todo += [(part, key) for key in part]
        elif isinstance(part, list | tuple):
            part = list(part)
            todo += [(part, index) for index in range(len(part))]
        holder[place] = part
    return root[0]


def mask_text(text: str, params: Any) -> str:
    """A text, such as a server's error, without the secrets of the call it is about."""
    for secret in sorted(set(_secret_texts(params)), key=len, reverse=True):
        text = text.replace(secret, MASKED)
    return text


def mask_texts(value: Any, params: Any) -> Any:
    """A JSON value, such as what a server adds to an error, with texts that hold none of a call's secrets."""
    return _copied(value, lambda _, part: mask_text(part, params) if isinstance(part, str) else part)


def mask_line(text: str) -> str:
    """A line with the values of secret keys replaced, at any depth and in every form of params.

    In a line that does not parse, everything from the first secret on is replaced: nobody knows where it ends.
    """
    for start, end in reversed(_spans(text)):
        text = f'{text[:start]}"{MASKED}"{text[end:]}'
    return text


def mask_message(message: str, line: str) -> str:
    """What is said about a line, without the words of its secrets."""
    words = {word for start, end in _spans(line) for word in _WORD.findall(line[start:end]) if len(word) >= _SHORTEST}
    for word in sorted(words, key=len, reverse=True):
        message = message.replace(word, MASKED)
    return message


def blot_line(text: str) -> str:
    """A line with an asterisk for each character of its secrets, so that all columns stay what they are."""
    for start, end in _spans(text):
        text = text[:start] + re.sub(r"[^\n]", "*", text[start:end]) + text[end:]
    return text


def blot_bytes(body: bytes, params: Any = None) -> bytes:
    """JSON with an asterisk for each byte of its secrets, so that all lengths stay what they are.

    The body may have been cut short. It may repeat the secrets of its call's params under other names.
    """
    # As Latin-1 every byte is a character. The name before it makes it a call, whose secrets are known to be found.
    call = "_ "
    blotted = blot_line(call + body.decode("latin-1"))[len(call) :].encode("latin-1")
    for secret in sorted(set(_secret_texts(params)), key=len, reverse=True):
        written = msgspec.json.encode(secret)[1:-1]
        blotted = blotted.replace(written, b"*" * len(written))
    return blotted


def _hides(key: Any, value: Any) -> bool:
    return value is not None and not isinstance(value, bool) and is_secret(str(key))


def _secret_texts(params: Any) -> Iterator[str]:
    """The texts and numbers that are secrets in a value."""
    todo: list[tuple[Any, bool]] = [(params, False)]
    while todo:
        part, secret = todo.pop()
        if isinstance(part, dict):
            todo += [(inner, secret or is_secret(str(key))) for key, inner in part.items()]
        elif isinstance(part, list | tuple):
            todo += [(inner, secret) for inner in part]
        elif secret and not isinstance(part, bool | None) and len(str(part)) >= _SHORTEST:
            yield str(part)


def _spans(text: str) -> list[tuple[int, int]]:
    """Where the secrets of what was typed or pasted are, in order; they do not overlap."""
    line = parse(text)
    parts = statements(line, lambda _name: True)
    if len(parts) == 1:
        return _spans_of_one(line)
    spans = []
    end = 0
    for part in parts:
        start = text.index(part, end)
        end = start + len(part)
        spans += [(start + first, start + last) for first, last in _spans_of_one(parse(part))]
    return spans


def _spans_of_one(line: Line) -> list[tuple[int, int]]:
    match line.body:
        case CommandLine() as command:
            return _in_command(line, command)
        case CallLine(params=value, assignment=name, sink=sink) | ValueLine(value=value, assignment=name, sink=sink):
            named = isinstance(line.body, ValueLine) and name is not None and is_secret(name.name)
            nodes = [] if value is None else [value] if named else list(_secrets(value))
        case _:
            return []
    text = line.text
    if not line.complete or any(problem.severity is Severity.ERROR for problem in line.problems):
        starts = [node.start for node in nodes]
        starts += [token.end for token in line.tokens if _names_secret(text, token)]
        return [(min(starts), len(text))] if starts and text[min(starts) :].strip() else []
    spans = sorted((node.start, node.end) for node in nodes if _is_written(node))
    return spans if sink is None else spans + _in_free_text(text, sink.start)


def _in_command(line: Line, command: CommandLine) -> list[tuple[int, int]]:
    """The secrets in a command's words, which may be a call from any of them on."""
    for word in command.words:
        rest = parse(line.text[word.start :])
        if rest.blocking is None and isinstance(rest.body, CallLine) and (spans := _spans_of_one(rest)):
            return [(word.start + start, word.start + end) for start, end in spans]
    return _in_free_text(line.text, command.name_end)


def _is_written(node: Node) -> bool:
    """Whether a secret stands there itself: not where it is missing, is a variable, or only yes, no or null."""
    return not isinstance(node, KeywordNode | MissingNode | VariableNode)


def _in_free_text(text: str, start: int) -> list[tuple[int, int]]:
    """The secrets in text of another language, such as a shell command."""
    spans = []
    while found := _NAMED.search(text, start):
        has_mark = bool(found["mark"].strip()) or found["dashes"]
        if has_mark and is_secret(found["name"]):
            spans.append(found.span("value"))
            start = found.end()
        else:
            start = found.end("name")
    return spans


def _names_secret(text: str, token: Token) -> bool:
    """Whether a stretch that is no key of an object, in a line that is wrong, may have been meant as a secret key."""
    if token.kind in {"method", "key"}:
        return False
    return is_secret(text[token.start : token.end].strip("\"',:="))


def _secrets(root: Node) -> Iterator[Node]:
    """The values of secret keys; what is inside a secret is part of it."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ArrayNode):
            nodes += node.items
        elif isinstance(node, ObjectNode):
            for member in node.members:
                if is_secret(member.key):
                    yield member.value
                else:
                    nodes.append(member.value)
