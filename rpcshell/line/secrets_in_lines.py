"""Where a line has secrets: in its params by their names, in what strings hold, in words of commands, and in comments.

What looks like a secret is `rpcshell.line.secrets`' business, what is made of a line without them `masking`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from rpcshell.line.language import (
    ArrayNode,
    CallLine,
    CommandLine,
    KeywordNode,
    Line,
    MissingNode,
    Node,
    ObjectNode,
    Severity,
    StringNode,
    SystemLine,
    TemplateNode,
    Token,
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
from rpcshell.line.password_options import command_in
from rpcshell.line.secrets import is_secret, may_hold_secrets, name_at, secret_places, secrets_in_text

MASKED: Final = "***"
"""What stands where a secret was; in a line it is quoted, so that the line still parses."""

_LONGEST: Final = 20_000
"""Characters of the longest text in a value that is read for secrets in it; one that is longer is taken for one."""

Names = Callable[[str], Sequence[str]]
"""Gives the names of a method's params by position; none where it is not known."""


class Known(msgspec.Struct, frozen=True):
    """What is known where a line was typed: the names of params by position, and aliases."""

    names: Names = lambda _method: ()
    aliases: Mapping[str, str] = {}


NOTHING_KNOWN: Final = Known()


class Secret(msgspec.Struct, frozen=True):
    """A stretch of a line that is or holds a secret, what is kept in its place, and the secrets themselves."""

    start: int
    end: int
    mask: str
    texts: tuple[str, ...]


def replaced(text: str, secrets: Sequence[Secret]) -> str:
    """A line with what is kept in the place of its secrets."""
    for secret in reversed(secrets):
        text = f"{text[: secret.start]}{secret.mask}{text[secret.end :]}"
    return text


def without_secrets(text: str) -> tuple[str, tuple[str, ...]]:
    """A text that is a value without the secrets it holds, and these."""
    if not may_hold_secrets(text):
        return text, ()
    if len(text) > _LONGEST:
        return MASKED, (text,)
    if text.lstrip()[:1] in ("{", "["):
        call = "_ "
        secrets = secrets_in_line(call + text, NOTHING_KNOWN)
        return replaced(call + text, secrets)[len(call) :], tuple(inner for secret in secrets for inner in secret.texts)
    spans = secrets_in_text(text)
    secrets_inside = tuple(text[start:end] for start, end in spans)
    for start, end in reversed(spans):
        text = f"{text[:start]}{MASKED}{text[end:]}"
    return text, secrets_inside


def secrets_in_line(text: str, known: Known) -> list[Secret]:
    """The secrets of what was typed or pasted, in order; they do not overlap."""
    line = parse(text)
    parts = statements(line, lambda _name: True)
    lines = [parse(part) for part in parts]
    if len(parts) == 1 or any(part.blocking for part in lines):
        # What is wrong in one may be more of what was meant in the one before.
        return _in_line(line, known)
    secrets: list[Secret] = []
    end = 0
    for part in lines:
        start = text.index(part.text, end)
        end = start + len(part.text)
        secrets += _moved(_in_line(part, known), start, start)
    return secrets


def _moved(secrets: Iterable[Secret], by: int, start: int) -> list[Secret]:
    """Secrets further on by some characters; of those that reach before the start, what comes after it."""
    return [
        Secret(max(secret.start + by, start), secret.end + by, secret.mask, secret.texts)
        for secret in secrets
        if secret.end + by > start
    ]


def _in_line(typed: Line, known: Known) -> list[Secret]:
    """The secrets of one line, which may begin with an alias."""
    line, moved = expand_alias(typed, known.aliases)
    if line is not typed:
        word = leading_word(typed)
        return _moved(_in_line(line, msgspec.structs.replace(known, aliases={})), -moved, word[1] if word else 0)
    names: Sequence[str] = ()
    match line.body:
        case CommandLine() as command:
            return _in_command(line, command, known)
        case CallLine(params=value, sink=sink, assignment=name):
            names = known.names(line.body.method)
            found = [] if value is None else list(_secrets_in_node(line.text, value, names))
        case ValueLine(value=value, sink=sink, assignment=name):
            is_whole = name is not None and is_secret(name.name)
            found = [_whole(line.text, value)] if is_whole else list(_secrets_in_node(line.text, value, ()))
        case SystemLine():
            return _in_free_text(line.text, 0)
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
        return [Secret(min(starts), len(text), f'"{MASKED}"', texts)] if rest.strip() else []
    secrets = [secret for secret in found if secret.texts]
    if isinstance(line.body, CallLine):
        # A command of a shell that was typed here looks like a call with a word.
        end = value.end if isinstance(value, WordNode) and not secrets else line.body.end
        secrets += _in_free_text(text, line.body.start, end)
    if sink is not None:
        secrets += _in_free_text(text, sink.start, sink.end)
    for token in line.tokens:
        if token.kind is TokenKind.COMMENT:
            secrets += _in_comment(text, token.start, token.end)
    return sorted(secrets, key=lambda secret: secret.start)


def _in_command(line: Line, command: CommandLine, known: Known) -> list[Secret]:
    """The secrets in a command's words, which may be a call from any of them on."""
    for word in command.words:
        rest = parse(line.text[word.start :])
        if rest.blocking is None and isinstance(rest.body, CallLine) and (secrets := _in_line(rest, known)):
            before = _in_free_text(line.text, command.name_end, word.start)
            return before + _moved(secrets, word.start, word.start)
    return _in_free_text(line.text, command.name_end)


def _in_free_text(text: str, start: int, end: int | None = None, *, quoted: bool = False) -> list[Secret]:
    """The secrets in text of another language; the mask is quoted where it is a word of it."""
    secrets = []
    for first, last in secrets_in_text(text, start, end):
        within = text[first - 1 : first] not in {" ", "=", ":"} or text[last : last + 1] == "@"
        bare = quoted or text.count('"', start, first) % 2 or within
        secrets.append(Secret(first, last, MASKED if bare else f'"{MASKED}"', (text[first:last].strip("\"'"),)))
    return secrets


def _in_comment(text: str, start: int, end: int | None = None) -> list[Secret]:
    """The secrets in a comment: what is missing there keeps no line from being run."""
    return [msgspec.structs.replace(secret, texts=()) for secret in _in_free_text(text, start, end)]


def _names_secret(text: str, token: Token) -> bool:
    """Whether a stretch that is no key of an object, in a line that is wrong, may have been meant as a secret key."""
    if token.kind in {"method", "key"}:
        return False
    return is_secret(text[token.start : token.end].strip("\"',:="))


def _secrets_in_node(text: str, root: Node, names: Sequence[str]) -> Iterator[Secret]:
    """The secrets in the params of a method, by their names or by what they hold; what is inside one is part of it."""
    by_name = isinstance(root, ObjectNode) and (len(names) != 1 or names[0] in {member.key for member in root.members})
    is_param = not by_name and not isinstance(root, ArrayNode)
    nodes = [(root, is_param and any(map(is_secret, names)), "")]
    while nodes:
        node, secret, program = nodes.pop()
        if secret:
            yield _whole(text, node)
        elif isinstance(node, ArrayNode):
            texts = [_text_of(item) for item in node.items]
            hidden, command = secret_places(texts, program), command_in(texts)
            if node is root and names:
                hidden.update(number for number in range(len(texts)) if is_secret(name_at(names, number)))
            nodes += [(item, number in hidden, command) for number, item in enumerate(node.items)]
        elif isinstance(node, ObjectNode):
            members = {member.key: _text_of(member.value) for member in node.members}
            hidden, command = secret_places(members), command_in(members)
            nodes += [(member.value, member.key in hidden, command) for member in node.members]
        elif isinstance(node, TemplateNode):
            yield from _in_free_text(text, node.start + 2, node.end - 1, quoted=True)
        elif value := _text_of(node):
            masked, inside = without_secrets(value)
            if inside or masked != value:
                yield Secret(node.start, node.end, quote(masked), inside or (value,))


def _text_of(node: Node) -> str | None:
    return node.value if isinstance(node, StringNode) else node.text if isinstance(node, WordNode) else None


def _whole(line: str, node: Node) -> Secret:
    """A value that is a secret itself: no text where it is missing, is a variable, or only yes, no or null."""
    texts: tuple[str, ...] = ()
    if not isinstance(node, KeywordNode | MissingNode | VariableNode):
        value = node.value if isinstance(node, StringNode) else ""
        texts = (value or line[node.start : node.end],)
    return Secret(node.start, node.end, f'"{MASKED}"', texts)
