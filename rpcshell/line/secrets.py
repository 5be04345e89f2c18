"""Which names are those of secrets, and where secrets stand in text that is no call of ours.

What is done about them is `masking`'s to say.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_secret", "may_hold_secrets", "secrets_in_text"]

_ANYWHERE: Final = (
    *("password", "passwd", "passphrase", "passcode", "passkey", "secret", "credential", "authorization"),
    *("privatekey", "jwt", "sessionid", "sessid"),
)
_AT_END: Final = (
    *("token", "apikey", "accesskey", "authkey", "encryptionkey", "masterkey", "sessionkey", "signingkey", "sshkey"),
    *("pwd", "pw", "pass", "otp", "auth", "session", "bearer", "cookie"),
)
_ENDS: Final = (*_AT_END, *(f"{word}s" for word in _AT_END))
_OTHER_ENDS: Final = ("bypass", "compass", "encompass", "surpass", "trespass", "obsession", "possession")
_COUNTED: Final = ("max", "min", "num", "total", "prompt", "completion", "input", "output", "cached", "used")
"""What stands before `tokens` that are counted, and before no token that is kept."""

_WORDS: Final = {"pass", "pw", "pwd", "otp", "totp", "auth", "session", "bearer", "cookie"}
_ABOUT: Final = {
    *(
        "count",
        "enabled",
        "kind",
        "limit",
        "method",
        "mode",
        "required",
        "scheme",
        "timeout",
        "ttl",
        "type",
        "uri",
        "url",
    ),
}
"""Last words of names that tell something about a secret, such as how long it lasts."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN: Final = re.compile(r"[\W_]+")
_DIGITS: Final = "0123456789"

_MAY_HOLD: Final = re.compile(
    r"pass|pw|secret|credential|auth|key|jwt|sess|token|otp|bearer|cookie|eyJ|//[^/?#]*@|//.*:.*@|\\u", re.IGNORECASE
)
_NAMED: Final = re.compile(
    r"""(?P<dashes>--?)?(?P<name>[\w.-]+)(?:\\*["'])?
    (?: \s*:\s*(?P<rest>[^\s"'\\][^"'\r\n]*) | (?P<mark>\s*[=:]\s*|\s+)(?P<value>\S) )""",
    re.VERBOSE,
)
"""A name and what may be its value, in text that is no call: `key=value`, `Key: several words`, `--key value`; of the
value but its first character, where it is one word."""

_QUERY_END: Final = re.compile(r"[&#]")
_PLAIN: Final = re.compile(
    r"""//(?P<userinfo>[^\s/?\#"'<>]+|[^\s/?\#:@"'<>]+:(?!\d*[/?\#])[^\s"'<>]+)@   # RFC 3986, section 3.2.1
    | \bbearer\s+(?P<bearer>[^\s"']{4,}|\*{3})                                           # RFC 6750
    | \beyJ(?P<jwt>[\w-]+\.[\w-]+\.[\w-]*|\*{3})                                         # RFC 7519
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What is a secret by its looks, or was one: the user and password of an URL, and tokens."""


def is_secret(key: str) -> bool:
    """Whether the value of a key is kept out of files, whatever the key's case, separators and number."""
    words = [word.rstrip(_DIGITS) for word in _BETWEEN.split(_HUMP.sub("_", key).lower())]
    words = [word for word in words if word]
    plain = "".join(words)
    if any(word in plain for word in _ANYWHERE):
        return True
    if plain.endswith(_ENDS) and not plain.endswith(_OTHER_ENDS):
        return not (plain.endswith("tokens") and plain.removesuffix("tokens").endswith(_COUNTED))
    return (
        words[-1:] != []
        and words[-1] not in _ABOUT
        and any(word.removesuffix("s") in _WORDS or word in _WORDS for word in words)
    )


def may_hold_secrets(text: str) -> bool:
    """Whether it is worth a look whether a text holds secrets: false is certain, and soon said of a long text."""
    return _MAY_HOLD.search(text) is not None


def secrets_in_text(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Where the secrets are in text of another language, such as a shell command, an URL or a log; in order."""
    begin, end = start, len(text) if end is None else end
    spans = [found.span(found.lastgroup or 0) for found in _PLAIN.finditer(text, start, end)]
    while found := _NAMED.search(text, start, end):
        marked = found["rest"] or found["mark"].strip() or found["dashes"]
        if not marked or not is_secret(found["name"]):
            start = found.end("name")
            continue
        first, last = (
            found.span("rest")
            if found["rest"]
            else (found.start("value"), _value_end(text, found.start("value"), begin, end))
        )
        name = found.start("name")
        if text[name - 1 : name] in {"?", "&"} and (cut := _QUERY_END.search(text, first, last)):
            last = cut.start()
        spans.append((first, last))
        start = last
    return _apart(spans)


def _value_end(text: str, start: int, begin: int, end: int) -> int:
    """Where a value ends: with the quotes around it and its name, or as a shell's word does."""
    if text[start] == "\\":
        # It was quoted again: how often, nobody knows.
        return end
    for quote in "\"'":
        if text.count(quote, begin, start) % 2 and (closing := text.find(quote, start, end)) > start:
            return closing
    while start < end and not text[start].isspace():
        if text[start] in "\"'":
            closing = text.find(text[start], start + 1, end)
            while closing > 0 and text[start] == '"' and text[closing - 1] == "\\":
                closing = text.find('"', closing + 1, end)
            start = end if closing < 0 else closing
        elif text[start] == "\\":
            start += 1
        start += 1
    return min(start, end)


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that overlap as one."""
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(end, apart[-1][1])
        else:
            apart.append((start, end))
    return apart
