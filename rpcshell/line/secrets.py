"""Which names are those of secrets, and where secrets stand in text that is no call of ours.

What is done about them is `masking`'s to say.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rpcshell.line.password_options import command_in, has_passwords, password_items, passwords_in_commands

_ANYWHERE: Final = (
    *("password", "passwd", "passphrase", "passcode", "passkey", "secret", "credential", "authorization"),
    *("privatekey", "jwt", "sessionid", "sessid", "pswd", "passwort", "kennwort", "motdepasse"),
)
_AT_END: Final = (
    *("token", "apikey", "accesskey", "authkey", "encryptionkey", "masterkey", "sessionkey", "signingkey", "sshkey"),
    *("pwd", "pw", "pass", "otp", "auth", "session", "bearer", "cookie"),
)
_ENDS: Final = (*_AT_END, *(f"{word}s" for word in _AT_END))
_OTHER_ENDS: Final = ("bypass", "compass", "encompass", "surpass", "trespass", "obsession", "possession")
_COUNTED: Final = ("max", "min", "num", "total", "prompt", "completion", "input", "output", "cached", "used")
"""What stands before `tokens` that are counted, and before no token that is kept."""

_MARKS: Final = (
    *("progress", "page", "paging", "pagination", "next", "prev", "previous", "cursor", "continuation", "continue"),
    *("cancel", "cancellation", "workdone", "partialresult", "sync", "delta", "semantic"),
)
"""What stands before a `token` that names a call, or a place in a list or a text, and lets nobody in."""

_WORDS: Final = {
    *("pass", "pw", "pwd", "otp", "totp", "mfa", "psk", "cred", "auth", "session", "bearer", "cookie", "pin"),
    *("cvv", "cvc", "ssn", "csrf", "xsrf"),
}
_SIGNATURES: Final = {"sig", "signature"}
_WHOLE: Final = {*_SIGNATURES, "sid", "connect_sid"}
"""Names that are those of secrets only alone: `function_signature` and `account_sid` are not, `X-Amz-Signature` is."""
_ABOUT: Final = {
    *("count", "enabled", "kind", "limit", "method", "mode", "required", "scheme", "timeout", "ttl", "type"),
    *("uri", "url"),
}
"""Last words of names that tell something about a secret, such as how long it lasts."""

_VALUES: Final = {"value", "values", "val", "v"}
"""Keys of what another member of the same object names, as in `{"name": "password", "value": "x"}`."""

_ACCOUNT_OPTIONS: Final = {"-u", "-U", "-a", "--user", "--proxy-user"}
"""Options whose values are `USER:PASSWORD`: those of curl and of programs like it."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_NAME: Final = re.compile(r"[\s=:/]")
_LONGEST_NAME: Final = 64
_BETWEEN: Final = re.compile(r"[\W_]+")
_DIGITS: Final = "0123456789"

_PARTS: Final = (
    *("pass", "pw", "secret", "cred", "auth", "key", "jwt", "sess", "token", "otp", "mfa", "psk", "pswd", "kennwort"),
    *("cvv", "cvc", "ssn", "csrf", "xsrf", "sid", "sig", "bearer", "cookie", "eyj", "\\u"),
    *("-u", "-a", "-p", "-w", "-hp", "/p:"),
    *("openssl", "snmp", "ssh-k", "sqlplus", "sqlldr", "expdp", "impdp", "rman", "rabbitmq", "sudo", "db2", "vault"),
)
"""One of these is in every text, in small letters, that holds a secret which a word tells."""

_PIN: Final = re.compile(r"pin(?!g)")
_LOGIN_AT: Final = re.compile(r"@(?:[\w.-]+|\[[\da-f:.]+\]):\d")
# A server may have sent the text: nothing here may take longer than in proportion to it.
_NAMED: Final = re.compile(
    r"""(?<![\w.-])(?P<dashes>--?)?(?P<name>[\w.][\w.-]*+)(?:\\*["'])?
    (?: \s*:\s*(?P<rest>[^\s"'\\]) | (?P<mark>\s*[=:]\s*|\s+)(?P<value>\S) )""",
    re.VERBOSE,
)
"""A name and what may be its value, in text that is no call: `key=value`, `Key: several words`, `--key value`; of the
value but its first character."""

_CLOSES: Final = {",", "}", "]"}
_REST_END: Final = re.compile(r"""["'\r\n]""")
_QUERY_END: Final = re.compile(r"""[&#\s"'<>]""")
_PLAIN: Final = r"""(?xi)
    //(?P<userinfo>[^\s/?\#"'<>]+|[^\s/?\#:@"'<>]+:(?!\d*[/?\#])[^\s"'<>]{1,200})@   # RFC 3986, section 3.2.1
    | (?<![^\s"'=])(?P<login>\*{3}|[^\s/@"'<>=:]+:(?!//)[^\s"'<>]{1,200})@(?:[\w.-]+|\[[\da-f:.]+\]):\d{1,5}(?![\w:])
    | \bbearer\s+(?P<bearer>[^\s"']{4,}|\*{3})                                           # RFC 6750
    | (?<!\S)(?:-[uUa]\s*|--(?:proxy-)?user(?:\s+|=))["']?[^\s"':@]+:(?P<account>(?!\d+\b)[^\s"']+|"\*{3}")  # curl(1)
    | (?<![\w-])eyJ(?P<jwt>[\w-]+\.[\w-]+\.[\w-]*|\*{3})                                         # RFC 7519
    | -----BEGIN\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY-----(?P<pem>(?:(?!-----END)[^"'])+)                # RFC 7468
    | \b(?:echo|printf)\s+(?:-\w+\s+)*["']?(?!\$)(?P<piped>[^|"'\n]{1,200}?)["']?\s*\|\s*
      (?:chpasswd\b|passwd\s+--stdin|sudo\s(?:[^|\n]{0,80}\s)?-\w*S|[^|\n]{1,80}\s--pass(?:word|phrase)-(?:stdin|fd)\b)
    | \b(?:machine\s+\S+|default)\s+(?:(?:login|account)\s+\S+\s+){0,2}password\s+(?P<netrc>[^\s"']+)   # netrc(5)
    """
"""What is a secret by its looks, or was one: the user and password of an URL or of host:port, tokens, private keys."""

_XML_TEXT_ELEMENT: Final = re.compile(r"<(?P<name>[\w.:-]{1,64})(?:\s[^<>]*)?>(?P<value>[^<>]+)</")


def underscored(key: str) -> str:
    """A key with its humps told apart as others tell their words: `apiKey` is `api_Key`."""
    return _HUMP.sub("_", key)


def is_secret(key: str) -> bool:
    """Whether the value of a key is kept out of files, whatever the key's case, separators and number."""
    words = [word.rstrip(_DIGITS) for word in _BETWEEN.split(underscored(key).lower())]
    words = [word for word in words if word]
    plain = "".join(words)
    if "_".join(words) in _WHOLE or any(word in plain for word in _ANYWHERE):
        return True
    if words[:1] == ["x"] and words[-1] in _SIGNATURES:
        return True
    if plain.endswith(_ENDS) and not plain.endswith(_OTHER_ENDS):
        before, token, plural = plain.rpartition("token")
        harmless = (*_MARKS, *_COUNTED) if plural else _MARKS
        return not (token and plural in {"", "s"} and before.endswith(harmless))
    return (
        words[-1:] != []
        and words[-1] not in _ABOUT
        and any(word.removesuffix("s") in _WORDS or word in _WORDS for word in words)
    )


def secret_places(holder: Mapping[str, object] | Sequence[object], program: str = "") -> set[str | int]:
    """Which keys of an object, or items of an array, have secrets for their values; of the values only texts count.

    A secret is named by its key, by another member (`{"name": "password", "value": "x"}`), or by the item before it:
    an option (`["--password", "x"]`), or the first one of a pair; or it is one of a program's arguments. The program
    may stand beside the array (`{"command": "mysql", "args": ["-px"]}`).
    """
    if isinstance(holder, Mapping):
        texts = [text for key, text in holder.items() if isinstance(text, str) and key.lower() not in _VALUES]
        named = any(key.lower() in _VALUES for key in holder) and any(map(_is_secret_word, texts))
        command = command_in(holder)
        return {
            key
            for key, value in holder.items()
            if is_secret(key)
            or (named and key.lower() in _VALUES)
            or (command and isinstance(value, str) and value is not command and has_passwords(command, value))
        }
    named_before = (number for number in range(1, len(holder)) if _is_secret_item(holder, number))
    return {*named_before, *password_items(holder, program)}


def _is_secret_item(items: Sequence[object], number: int) -> bool:
    before, item = items[number - 1], items[number]
    if not isinstance(before, str):
        return False
    if not before.startswith("-"):
        return len(items) == 2 and _is_secret_word(before)
    if before in _ACCOUNT_OPTIONS:
        return isinstance(item, str) and (":" in item or item == "***")
    return _is_secret_word(before) and not (isinstance(item, str) and item.startswith("-"))


def _is_secret_word(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and not _NO_NAME.search(text) and is_secret(text)


def named_params(params: Any, names: Sequence[str]) -> Any:
    """Params by name, where they were given by position to a method that has names for them.

    The whole of them goes by the name of the only param, where that is a secret's.
    """
    if isinstance(params, list | tuple):
        named: dict[str, Any] = {}
        for number, item in enumerate(params if names else ()):
            name = name_at(names, number)
            named[f"{name} {number}" if name in named else name] = item
        return named if names else params
    if len(names) == 1 and is_secret(names[0]) and not (isinstance(params, dict) and names[0] in params):
        return {names[0]: params}
    return params


def name_at(names: Sequence[str], number: int) -> str:
    """The name of a param by position; what is too much goes by the last one's."""
    return names[min(number, len(names) - 1)]


def may_hold_secrets(text: str) -> bool:
    """Whether it is worth a look whether a text holds secrets: false is certain, and soon said of a long text."""
    small = text.lower()
    if any(part in small for part in _PARTS) or _PIN.search(small) is not None:
        return True
    return "@" in text and ("//" in text or _LOGIN_AT.search(small) is not None)


def secrets_in_text(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Where the secrets are in text of another language, such as a shell command, an URL or a log; in order."""
    begin, end = start, len(text) if end is None else end
    elements = _XML_TEXT_ELEMENT.finditer(text, start, end)
    spans = [element.span("value") for element in elements if is_secret(element["name"])]
    if may_hold_secrets(text) or "***" in text:
        # These patterns take longest to compile.
        spans += [found.span(found.lastgroup or 0) for found in re.compile(_PLAIN).finditer(text, start, end)]
        spans += [(first, _value_end(text, first, begin, end)) for first in passwords_in_commands(text, start, end)]
    while found := _NAMED.search(text, start, end):
        marked = found["rest"] or found["mark"].strip() or found["dashes"]
        if not marked or not is_secret(found["name"]):
            start = found.end("name")
            continue
        first = found.start("rest" if found["rest"] else "value")
        name = found.start("name")
        stop = _QUERY_END if text[name - 1 : name] in {"?", "&"} else _REST_END if found["rest"] else None
        if stop is None:
            last = _value_end(text, first, begin, end)
        else:
            last = closing.start() if (closing := stop.search(text, first, end)) else end
        spans.append((first, last))
        start = max(last, first + 1)
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
            if text[start + 1 : start + 2] in _CLOSES:
                # JSON that stands in a shell's word or is followed by more than itself.
                return start + 1
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
