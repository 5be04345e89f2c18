"""Which parts of a line are secrets, and the line without them, as it may be written to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.language import ArrayNode, CallLine, MissingNode, ObjectNode, Severity, TokenKind, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.language import Node, Token

__all__ = ["MASK", "is_secret", "mask"]

MASK: Final = '"***"'
"""What stands in a stored line where a secret was; the line still parses."""

_ANYWHERE: Final = ("password", "passwd", "passphrase", "secret", "credential", "authorization", "privatekey")
_AT_END: Final = ("token", "apikey", "accesskey", "pwd", "bearer", "cookie")
_SEPARATORS: Final = str.maketrans("", "", "_-. ")


def is_secret(key: str) -> bool:
    """Whether the value of a key is kept out of files, whatever the key's case and separators."""
    plain = key.translate(_SEPARATORS).lower()
    return plain.endswith(_AT_END) or any(word in plain for word in _ANYWHERE)


def mask(text: str) -> str:
    """A line with the values of secret keys replaced, at any depth and in every form of params.

    In a line that does not parse, everything from the first secret on is replaced: nobody knows where it ends.
    """
    line = parse(text)
    if not isinstance(line.body, CallLine):
        return text
    params = line.body.params
    secrets = [] if params is None else list(_secrets(params))
    if not line.complete or any(problem.severity is Severity.ERROR for problem in line.problems):
        starts = [node.start for node in secrets]
        starts += [token.end for token in line.tokens if _names_secret(text, token)]
        return text[: min(starts)] + MASK if starts and text[min(starts) :].strip() else text
    for node in sorted(secrets, key=lambda node: node.start, reverse=True):
        if not isinstance(node, MissingNode):
            text = text[: node.start] + MASK + text[node.end :]
    return text


def _names_secret(text: str, token: Token) -> bool:
    """Whether a stretch that is no key of an object, in a line that is wrong, may have been meant as a secret key."""
    if token.kind in {TokenKind.METHOD, TokenKind.KEY}:
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
                if not is_secret(member.key):
                    nodes.append(member.value)
                else:
                    yield member.value
