"""Which values are secrets, and lines, values and texts without them, as they may be kept, exported or told.

A secret is known by the name it is given, the value of a key such as `password` or `api_key`, or by what it looks like
(`secrets` has both). Pure functions over texts and JSON values; who writes what where is the business of others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
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
    StringNode,
    TemplateNode,
    TokenKind,
    ValueLine,
    VariableNode,
    WordNode,
    expand_alias,
    leading_word,
    parse,
    quote,
    statements,
)
from rpcshell.line.secrets import is_secret, may_hold_secrets, name_at, named_params, secret_places, secrets_in_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.line.language import Line, Node, Token

__all__ = [
    "MASKED",
    "Known",
    "blot_bytes",
    "blot_line",
    "mask_line",
    "mask_message",
    "mask_params",
    "mask_secrets",
    "mask_text",
    "mask_texts",
    "mask_value",
    "masked_places",
    "secret_texts",
    "text_masker",
]

MASKED: Final = "***"
"""What stands where a secret was; in a line it is quoted, so that the line still parses."""

_SHORTEST: Final = 4
"""Characters of the shortest value that is looked for in a text; shorter ones stand in other words too."""

_WORD: Final = re.compile(r"""[^\s"'{}\[\]<>,:=]+""")
_LONGEST: Final = 20_000
"""Characters of the longest text in a value that is read for secrets in it; one that is longer is taken for one."""

_BUDGET: Final = 100_000
"""Characters of all texts in a value that are read so."""

Names = Callable[[str], Sequence[str]]
"""Gives the names of a method's params by position; none where it is not known."""


class Known(msgspec.Struct, frozen=True):
    """What is known where a line was typed: the names of params by position, and aliases."""

    names: Names = lambda _method: ()
    aliases: Mapping[str, str] = {}


_NOTHING: Final = Known()


class _Secret(msgspec.Struct, frozen=True):
    """A stretch of a line that is or holds a secret, what is kept in its place, and the secrets themselves."""

    start: int
    end: int
    mask: str
    texts: tuple[str, ...]


def mask_value(value: Any) -> Any:
    """A JSON value with the values of secret keys replaced, at any depth and in texts; the one given stays as it is.

    Null and booleans stay: that there is a password, or none, is no secret. Where much text may hold some, as in what
    a server sends, the texts beyond a budget are taken for secrets.
    """
    room = _BUDGET

    def masked(part: Any, secret: bool) -> Any:
        nonlocal room
        if secret and part is not None and not isinstance(part, bool):
            return MASKED
        if not isinstance(part, str) or not may_hold_secrets(part):
            return part
        room -= len(part)
        return mask_secrets(part) if room >= 0 else MASKED

    return _copied(value, masked)


def mask_params(params: Any, names: Sequence[str]) -> Any:
    """The params of a call as `mask_value` does, those too that are secrets by the names of their places."""
    named = named_params(params, names)
    masked = mask_value(named)
    if named is params:
        return masked
    return list(masked.values()) if isinstance(params, list | tuple) else masked[names[0]]


def mask_secrets(text: str) -> str:
    """A text without the secrets that it holds by itself: URLs, queries, headers, JSON."""
    return _inside(text)[0]


def _copied(value: Any, replace: Callable[[Any, bool], Any]) -> Any:
    """A copy of a JSON value, however deep, with what `replace` makes of each part; it is told which are secrets."""
    root = [value]
    todo: list[tuple[Any, Any, bool]] = [(root, 0, False)]
    while todo:
        holder, place, secret = todo.pop()
        part = replace(holder[place], secret)
        if isinstance(part, dict | list | tuple):
            part = dict(part) if isinstance(part, dict) else list(part)
            secrets = secret_places(part)
            todo += [(part, key, key in secrets) for key in (part if isinstance(part, dict) else range(len(part)))]
        holder[place] = part
    return root[0]


def text_masker(params: Any) -> Callable[[str], str]:
    """What takes the secrets of a call out of a text; for many texts, as the params are looked through once."""
    secrets = sorted(set(secret_texts(params)), key=len, reverse=True)

    def mask(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, MASKED)
        return text

    return mask


def mask_text(text: str, params: Any) -> str:
    """A text, such as a server's error, without the secrets of the call it is about."""
    return text_masker(params)(text)


def mask_texts(value: Any, params: Any) -> Any:
    """A JSON value, such as what a server adds to an error, without the secrets of a call that it may repeat."""
    mask = text_masker(params)

    def masked(part: Any, _: bool) -> Any:
        if isinstance(part, str):
            return mask(part)
        return MASKED if isinstance(part, int | float) and mask(str(part)) == MASKED else part

    return _copied(value, masked)


def mask_line(text: str, known: Known = _NOTHING) -> str:
    """A line with the values of secret keys replaced, at any depth and in every form of params.

    In a line that does not parse, everything from the first secret on is replaced: nobody knows where it ends.
    """
    return _replaced(text, _secrets_of(text, known))


def _replaced(text: str, secrets: Sequence[_Secret]) -> str:
    for secret in reversed(secrets):
        text = f"{text[: secret.start]}{secret.mask}{text[secret.end :]}"
    return text


def masked_places(text: str, known: Known = _NOTHING) -> list[int]:
    """Where a line, which was kept without its secrets, has `MASKED` in the place of each."""
    if MASKED not in text:
        return []
    found = (secret for secret in _secrets_of(text, known) if MASKED in secret.texts)
    return [text.index(MASKED, secret.start) for secret in found]


def mask_message(message: str, line: str) -> str:
    """What is said about a line, without the words of its secrets."""
    written = [line[secret.start : secret.end] for secret in _secrets_of(line, _NOTHING)]
    words = {word for text in written for word in _WORD.findall(text) if len(word) >= _SHORTEST}
    for word in sorted(words, key=len, reverse=True):
        message = message.replace(word, MASKED)
    return message


def blot_line(text: str) -> str:
    """A line with an asterisk for each character of its secrets, so that all columns stay what they are."""
    for secret in _secrets_of(text, _NOTHING):
        text = text[: secret.start] + re.sub(r"[^\n]", "*", text[secret.start : secret.end]) + text[secret.end :]
    return text


def blot_bytes(body: bytes, params: Any = None) -> bytes:
    """JSON with an asterisk for each byte of its secrets, so that all lengths stay what they are.

    The body may have been cut short. It may repeat the secrets of its call's params under other names.
    """
    # As Latin-1 every byte is a character. The name before it makes it a call, whose secrets are known to be found.
    call = "_ "
    blotted = blot_line(call + body.decode("latin-1"))[len(call) :].encode("latin-1")
    for secret in sorted(set(secret_texts(params)), key=len, reverse=True):
        written = msgspec.json.encode(secret)[1:-1]
        blotted = blotted.replace(written, b"*" * len(written))
    return blotted


def secret_texts(params: Any) -> Iterator[str]:
    """The texts and numbers that are secrets in a value."""
    todo: list[tuple[Any, bool]] = [(params, False)]
    while todo:
        part, secret = todo.pop()
        if isinstance(part, dict | list | tuple):
            secrets = secret_places(part)
            inner = part.items() if isinstance(part, dict) else enumerate(part)
            todo += [(value, secret or place in secrets) for place, value in inner]
        elif secret and not isinstance(part, bool | None):
            if len(str(part)) >= _SHORTEST:
                yield str(part)
        elif isinstance(part, str):
            yield from (text for text in _inside(part)[1] if len(text) >= _SHORTEST)


def _inside(text: str) -> tuple[str, tuple[str, ...]]:
    """A text that is a value without the secrets it holds, and these."""
    if not may_hold_secrets(text):
        return text, ()
    if len(text) > _LONGEST:
        return MASKED, (text,)
    if text.lstrip()[:1] in ("{", "["):
        call = "_ "
        secrets = _secrets_of(call + text, _NOTHING)
        return _replaced(call + text, secrets)[len(call) :], tuple(
            inner for secret in secrets for inner in secret.texts
        )
    spans = secrets_in_text(text)
    secrets_inside = tuple(text[start:end] for start, end in spans)
    for start, end in reversed(spans):
        text = f"{text[:start]}{MASKED}{text[end:]}"
    return text, secrets_inside


def _secrets_of(text: str, known: Known) -> list[_Secret]:
    """The secrets of what was typed or pasted, in order; they do not overlap."""
    line = parse(text)
    parts = statements(line, lambda _name: True)
    if len(parts) == 1:
        return _in_line(line, known)
    secrets: list[_Secret] = []
    end = 0
    for part in parts:
        start = text.index(part, end)
        end = start + len(part)
        secrets += _moved(_in_line(parse(part), known), start, start)
    return secrets


def _moved(secrets: Iterable[_Secret], by: int, start: int) -> list[_Secret]:
    """Secrets further on by some characters; of those that reach before the start, what comes after it."""
    return [
        _Secret(max(secret.start + by, start), secret.end + by, secret.mask, secret.texts)
        for secret in secrets
        if secret.end + by > start
    ]


def _in_line(typed: Line, known: Known) -> list[_Secret]:
    """The secrets of one line, which may begin with an alias."""
    line, moved = expand_alias(typed, known.aliases)
    if line is not typed:
        word = leading_word(typed)
        return _moved(_in_line(line, msgspec.structs.replace(known, aliases={})), -moved, word[1] if word else 0)
    match line.body:
        case CommandLine() as command:
            return _in_command(line, command, known)
        case CallLine(params=value, sink=sink, assignment=name):
            names = known.names(line.body.method)
            found = [] if value is None else list(_secrets_in_node(line.text, value, names))
        case ValueLine(value=value, sink=sink, assignment=name):
            names = () if name is None else (name.name,)
            found = [_whole(value)] if names and is_secret(names[0]) else list(_secrets_in_node(line.text, value, ()))
        case _:
            return _in_comment(line.text, 0)
    text = line.text
    if not line.complete or any(problem.severity is Severity.ERROR for problem in line.problems):
        starts = [secret.start for secret in found]
        starts += [token.end for token in line.tokens if _names_secret(text, token)]
        starts += [start for start, _ in secrets_in_text(text)[:1]]
        if isinstance(line.body, CallLine) and any(map(is_secret, names)) and not isinstance(value, ObjectNode):
            starts.append(line.body.end + 1)
        rest = text[min(starts) :] if starts else ""
        texts = (rest.strip().strip("\"'"),)
        return [_Secret(min(starts), len(text), f'"{MASKED}"', texts)] if rest.strip() else []
    secrets = [_told(text, secret) for secret in found if secret.texts]
    if isinstance(line.body, CallLine):
        secrets += _in_free_text(text, line.body.start, line.body.end)
    if sink is not None:
        secrets += _in_free_text(text, sink.start, sink.end)
    for token in line.tokens:
        if token.kind is TokenKind.COMMENT:
            secrets += _in_comment(text, token.start, token.end)
    return sorted(secrets, key=lambda secret: secret.start)


def _told(text: str, secret: _Secret) -> _Secret:
    """A secret with its text as it was written, where it is more than a string."""
    if secret.texts != ("",):
        return secret
    return msgspec.structs.replace(secret, texts=(text[secret.start : secret.end],))


def _in_command(line: Line, command: CommandLine, known: Known) -> list[_Secret]:
    """The secrets in a command's words, which may be a call from any of them on."""
    for word in command.words:
        rest = parse(line.text[word.start :])
        if rest.blocking is None and isinstance(rest.body, CallLine) and (secrets := _in_line(rest, known)):
            before = _in_free_text(line.text, command.name_end, word.start)
            return before + _moved(secrets, word.start, word.start)
    return _in_free_text(line.text, command.name_end)


def _in_free_text(text: str, start: int, end: int | None = None, *, quoted: bool = False) -> list[_Secret]:
    """The secrets in text of another language; the mask is quoted where it is a word of it."""
    secrets = []
    for first, last in secrets_in_text(text, start, end):
        bare = quoted or text.count('"', start, first) % 2 or text[first - 1 : first] not in {" ", "=", ":"}
        secrets.append(_Secret(first, last, MASKED if bare else f'"{MASKED}"', (text[first:last].strip("\"'"),)))
    return secrets


def _in_comment(text: str, start: int, end: int | None = None) -> list[_Secret]:
    """The secrets in a comment: what is missing there keeps no line from being run."""
    return [msgspec.structs.replace(secret, texts=()) for secret in _in_free_text(text, start, end)]


def _names_secret(text: str, token: Token) -> bool:
    """Whether a stretch that is no key of an object, in a line that is wrong, may have been meant as a secret key."""
    if token.kind in {"method", "key"}:
        return False
    return is_secret(text[token.start : token.end].strip("\"',:="))


def _secrets_in_node(text: str, root: Node, names: Sequence[str]) -> Iterator[_Secret]:
    """The secrets in the params of a method, by their names or by what they hold; what is inside one is part of it."""
    if isinstance(root, ArrayNode):
        hidden = secret_places([_text_of(item) for item in root.items])
        nodes = [
            (item, number in hidden or bool(names and is_secret(name_at(names, number))))
            for number, item in enumerate(root.items)
        ]
    elif isinstance(root, ObjectNode) and (len(names) != 1 or names[0] in {member.key for member in root.members}):
        nodes = [(root, False)]
    else:
        nodes = [(root, any(map(is_secret, names)))]
    while nodes:
        node, secret = nodes.pop()
        if secret:
            yield _whole(node)
        elif isinstance(node, ArrayNode):
            hidden = secret_places([_text_of(item) for item in node.items])
            nodes += [(item, number in hidden) for number, item in enumerate(node.items)]
        elif isinstance(node, ObjectNode):
            hidden = secret_places({member.key: _text_of(member.value) for member in node.members})
            nodes += [(member.value, member.key in hidden) for member in node.members]
        elif isinstance(node, TemplateNode):
            yield from _in_free_text(text, node.start + 2, node.end - 1, quoted=True)
        elif value := _text_of(node):
            masked, inside = _inside(value)
            if inside or masked != value:
                yield _Secret(node.start, node.end, quote(masked), inside or (value,))


def _text_of(node: Node) -> str | None:
    return node.value if isinstance(node, StringNode) else node.text if isinstance(node, WordNode) else None


def _whole(node: Node) -> _Secret:
    """A value that is a secret itself: no text where it is missing, is a variable, or only yes, no or null."""
    if isinstance(node, KeywordNode | MissingNode | VariableNode):
        texts: tuple[str, ...] = ()
    else:
        texts = (node.value if isinstance(node, StringNode) else "",)
    return _Secret(node.start, node.end, f'"{MASKED}"', texts)
