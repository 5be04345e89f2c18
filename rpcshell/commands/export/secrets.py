"""Secrets in calls that are exported: found by the names of their keys, and replaced by environment variables."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.line.masking import is_secret
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.shell.call import Call

__all__ = ["Secret", "Secrets", "reason"]

_LONGEST_REASON: Final = 80

_SHORTEST: Final = 4
"""Characters of the shortest secret that is looked for in other texts."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


class Secret(msgspec.Struct, frozen=True):
    """The place of a secret.

    Attributes:
        name: What a program calls it.
        key: The key it stood under.
        method: The method of the call it was first used in.
        text: Whether it is a text; otherwise it is other JSON.
    """

    name: str
    key: str
    method: str
    text: bool

    @property
    def variable(self) -> str:
        """The environment variable it comes from."""
        return f"RPCSHELL_{self.name}"

    @property
    def content(self) -> str:
        """What the variable is to hold."""
        return f"{'' if self.text else 'the JSON of '}{self.key or 'a secret'} in {self.method}"


class Secrets:
    """Replaces secrets, the same one by the same `Secret` everywhere.

    A text that holds a secret of any of the calls, under whatever name, is one itself.

    Args:
        records: The calls.
    """

    def __init__(self, records: Iterable[Call]) -> None:
        self._found: dict[str, Secret] = {}
        known: set[str] = set()
        for record in records:
            known.update(_secret_texts(record.params))
            if record.reply is not None:
                known.update(_secret_texts(record.reply.result))
        self._known = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True)))) if known else None

    @property
    def used(self) -> list[Secret]:
        """The secrets that were replaced so far."""
        return list(self._found.values())

    def hide(self, value: Any, method: str, key: str = "") -> Any:
        """A value with a `Secret` in the place of each secret.

        Args:
            value: The params of a call.
            method: The method.
            key: The key the value stands under.
        """
        if (key and is_secret(key) and _hidden(value)) or self._holds_one(value):
            return self._secret(value, method, key)
        if isinstance(value, dict):
            return {name: self.hide(inner, method, str(name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(inner, method, key) for inner in value]
        return value

    def find(self, value: Any, key: str = "") -> Secret | bool:
        """The secret that a value is, if it was replaced before; else whether it is one."""
        if (key and is_secret(key) and _hidden(value)) or self._holds_one(value):
            return self._found.get(_identity(value), True)
        return False

    def without(self, text: str) -> str:
        """A text with asterisks for the secrets in it."""
        return self._known.sub("***", text) if self._known is not None else text

    def _holds_one(self, value: Any) -> bool:
        return isinstance(value, str) and self._known is not None and self._known.search(value) is not None

    def _secret(self, value: Any, method: str, key: str) -> Secret:
        identity = _identity(value)
        found = self._found.get(identity)
        if found is None:
            plain = _NOT_NAME.sub("_", _HUMP.sub("_", key)).strip("_").upper()
            name = plain if plain and is_secret(key) and not plain[0].isdigit() else f"SECRET_{plain}".rstrip("_")
            taken = {secret.name for secret in self._found.values()}
            number = 1
            while (unique := f"{name}_{number}" if number > 1 else name) in taken:
                number += 1
            found = self._found[identity] = Secret(unique, key, method, isinstance(value, str))
        return found


def reason(record: Call, secrets: Secrets) -> str:
    """The error that a call was answered with, for a comment."""
    text = visible(secrets.without("" if record.error is None else record.error.message))
    short = text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
    return f"error {record.code}: {short}"


def _hidden(value: Any) -> bool:
    """Whether a value under a secret key is one: that there is none, or that something is on or off, is not."""
    return value is not None and not isinstance(value, bool) and value not in ("", [], {})


def _identity(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _secret_texts(value: Any) -> Iterator[str]:
    todo: list[tuple[Any, bool]] = [(value, False)]
    while todo:
        part, secret = todo.pop()
        if isinstance(part, dict):
            todo += [(inner, secret or is_secret(str(key))) for key, inner in part.items()]
        elif isinstance(part, list | tuple):
            todo += [(inner, secret) for inner in part]
        elif secret and isinstance(part, str) and len(part) >= _SHORTEST:
            yield part
