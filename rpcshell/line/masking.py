"""Lines, values and texts without their secrets, as they may be kept, exported or told.

A secret is known by the name it is given, the value of a key such as `password` or `api_key`, or by what it looks like
(`secrets` has both, `secrets_in_lines` finds them in what was typed). Pure functions over texts and JSON values; who
writes what where is the business of others.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from rpcshell.line.password_options import command_in
from rpcshell.line.secrets import may_hold_secrets, named_params, secret_places
from rpcshell.line.secrets_in_lines import MASKED, NOTHING_KNOWN, Known, replaced, secrets_in_line, without_secrets

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
]

_SHORTEST: Final = 4
"""Characters of the shortest value that is looked for in a text; shorter ones stand in other words too."""

_WORD: Final = re.compile(r"""[^\s"'{}\[\]<>,:=]+""")
_BUDGET: Final = 100_000
"""Characters of all texts in a value that are read for secrets in them."""


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
    return without_secrets(text)[0]


def _copied(value: Any, replace: Callable[[Any, bool], Any]) -> Any:
    """A copy of a JSON value, however deep, with what `replace` makes of each part; it is told which are secrets."""
    root = [value]
    todo: list[tuple[Any, Any, bool, str]] = [(root, 0, False, "")]
    while todo:
        holder, place, secret, program = todo.pop()
        part = replace(holder[place], secret)
        if isinstance(part, dict | list | tuple):
            part = dict(part) if isinstance(part, dict) else list(part)
            secrets, command = secret_places(part, program), command_in(part)
            keys = part if isinstance(part, dict) else range(len(part))
            todo += [(part, key, secret or key in secrets, command) for key in keys]
        holder[place] = part
    return root[0]


def mask_text(text: str, params: Any) -> str:
    """A text, such as a server's error, without the secrets of the call it is about."""
    return _without(text, secret_texts(params))


def mask_texts(value: Any, params: Any) -> Any:
    """A JSON value, such as what a server adds to an error, without the secrets of a call that it may repeat."""
    secrets = secret_texts(params)

    def masked(part: Any, _: bool) -> Any:
        if isinstance(part, str):
            return _without(part, secrets)
        return MASKED if isinstance(part, int | float) and _without(str(part), secrets) == MASKED else part

    return _copied(value, masked)


def mask_line(text: str, known: Known = NOTHING_KNOWN) -> str:
    """A line with the values of secret keys replaced, at any depth and in every form of params.

    In a line that does not parse, everything from the first secret on is replaced: nobody knows where it ends.
    """
    return replaced(text, secrets_in_line(text, known))


def masked_places(text: str, known: Known = NOTHING_KNOWN) -> list[int]:
    """Where a line, which was kept without its secrets, has `MASKED` in the place of each."""
    if MASKED not in text:
        return []
    found = (secret for secret in secrets_in_line(text, known) if MASKED in secret.texts)
    return [text.index(MASKED, secret.start) for secret in found]


def mask_message(message: str, line: str) -> str:
    """What is said about a line, without the words of its secrets."""
    written = [line[secret.start : secret.end] for secret in secrets_in_line(line, NOTHING_KNOWN)]
    return _without(message, _longest_first(word for text in written for word in _WORD.findall(text)))


def _longest_first(texts: Iterable[str]) -> list[str]:
    """Those that are long enough to be looked for; one may be a part of another."""
    return sorted({text for text in texts if len(text) >= _SHORTEST}, key=len, reverse=True)


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASKED)
    return text


def blot_line(text: str) -> str:
    """A line with an asterisk for each character of its secrets, so that all columns stay what they are."""
    for secret in secrets_in_line(text, NOTHING_KNOWN):
        text = text[: secret.start] + re.sub(r"[^\n]", "*", text[secret.start : secret.end]) + text[secret.end :]
    return text


def blot_bytes(body: bytes, params: Any = None) -> bytes:
    """JSON with an asterisk for each byte of its secrets, so that all lengths stay what they are.

    The body may have been cut short. It may repeat the secrets of its call's params under other names.
    """
    # As Latin-1 every byte is a character. The name before it makes it a call, whose secrets are known to be found.
    call = "_ "
    blotted = blot_line(call + body.decode("latin-1"))[len(call) :].encode("latin-1")
    for secret in secret_texts(params):
        written = msgspec.json.encode(secret)[1:-1]
        blotted = blotted.replace(written, b"*" * len(written))
    return blotted


def secret_texts(params: Any) -> list[str]:
    """The texts and numbers that are secrets in a value, the longest first."""
    found: set[str] = set()

    def look(part: Any, secret: bool) -> Any:
        if secret and not isinstance(part, dict | list | tuple | bool | None):
            found.add(str(part))
        elif isinstance(part, str):
            found.update(without_secrets(part)[1])
        return part

    _copied(params, look)
    return _longest_first(found)
