"""What goes into an exported file: the calls, where they went, and the variables in the place of their secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.line.brief import brief
from rpcshell.line.masking import MASKED, mask_secrets, secret_texts
from rpcshell.line.secrets import is_secret, underscored
from rpcshell.view.differences import identity
from rpcshell.view.escape import visible
from rpcwire import TextFloat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rpcshell.client.dialects import DialectFactory
    from rpcshell.client.target import TlsFiles
    from rpcshell.line.catalog import Method
    from rpcshell.shell.call import Call

Key = tuple[str, str, str]
"""What makes two calls the same: target, method and params."""

_DEEPEST: Final = 50
"""Levels of params that a file can have: Python's own parser gives up at a hundred or two."""

_LONGEST_REASON: Final = 80

_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to be exported, oldest first, all of which were answered."""

    records: Sequence[Call]
    version: str
    """Of the shell."""
    date: str
    """Of the export, as people write it."""
    file: str = "FILE"
    """What the file will be called."""
    plain: frozenset[str] = frozenset()
    """The targets that are sent nothing but a method and its params."""
    methods: Mapping[str, Method] = msgspec.field(default_factory=dict)
    again: Mapping[Key, Sequence[Any]] = msgspec.field(default_factory=dict)
    """Further results of calls, by `call_key`."""
    exact: bool = False
    """Whether results are expected as they were, unless it is known that they change."""
    tls: Mapping[str, TlsFiles] = msgspec.field(default_factory=dict)
    """By target."""
    dialects: Mapping[str, DialectFactory] = msgspec.field(default_factory=dict)
    """Those of the configuration, by name."""
    decimals: bool = False
    """Whether Python files have `Decimal`s for floats, as these would not be all of a number."""

    @property
    def targets(self) -> dict[str, str]:
        """Where the calls went, each with what a name for it ends in: nothing, then `_2`, `_3`."""
        targets = dict.fromkeys(record.target for record in self.records)
        return {target: f"_{number}" if number > 1 else "" for number, target in enumerate(targets, 1)}

    def envelope_of(self, target: str) -> dict[str, Any] | None:
        """The table of what is spoken with a target, if only the configuration knows its name."""
        name, _, framing = target.partition(":")[0].partition("+")
        if (dialect := self.dialects.get(name)) is None:
            return None
        table: dict[str, Any] = msgspec.to_builtins(dialect)
        return {**table, "framing": framing} if framing else table

    def files_of(self, target: str) -> dict[str, str]:
        """The files of TLS of a target that are not the system's own, by what `TlsFiles` calls them."""
        files = self.tls.get(target)
        named = {} if files is None else msgspec.structs.asdict(files)
        return {name: path for name, path in named.items() if path is not None}


def call_key(record: Call) -> Key:
    """What makes two calls the same."""
    return record.target, record.method, _identity(record.params)


def lost_in_floats(records: Iterable[Call], again: Mapping[Key, Sequence[Any]]) -> bool:
    """Whether there is a number in calls that a float of Python would change."""
    todo: list[Any] = [again]
    for record in records:
        todo += (record.params, record.result)
    while todo:
        part = todo.pop()
        if isinstance(part, TextFloat):
            return True
        todo += _inside(part)
    return False


def leave_out(records: Iterable[Call]) -> tuple[list[Call], int]:
    """The calls that can be exported, and how many cannot: they got no reply, or their params were not kept."""
    kept: list[Call] = []
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007  (read at the end)
        if record.outcome in {"ok", "error"} and record.has_params and _depth_below(record.params, _DEEPEST):
            kept.append(record)
    return kept, count - len(kept)


def introduction(export: Export, program: str, what: str = "") -> list[str]:
    """The lines a file begins with: what it is (`what` begins in a comma), where the calls went, and what runs it."""
    variables = [f"RPCSHELL_TARGET{ending}" for ending in export.targets.values()]
    names = f"{variables[0]} names another" if len(variables) == 1 else f"{' and '.join(variables)} name others"
    return [
        f"Calls of a session with rpcshell {export.version} on {export.date}{what}.",
        "",
        f"They went to {visible(', '.join(map(mask_secrets, export.targets)))}; {names}.",
        f"Run it, while a server is there, with: {program} {visible(export.file)}",
    ]


def _depth_below(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return True
    return False


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


class SecretPlace(msgspec.Struct, frozen=True):
    """The place of a secret: what a program calls it, and the key and the method it was first used with."""

    name: str
    key: str
    method: str
    text: bool
    """Whether it is a text; otherwise it is other JSON."""

    @property
    def variable(self) -> str:
        """The environment variable it comes from."""
        return f"RPCSHELL_{self.name}"

    @property
    def content(self) -> str:
        """What the variable is to hold."""
        return f"{'' if self.text else 'the JSON of '}{self.key or 'a secret'} in {self.method}"


class Secrets:
    """Replaces the secrets of calls, the same one by the same `SecretPlace` everywhere.

    A text that holds a secret of any of the calls, under whatever name, is one itself.
    """

    def __init__(self, records: Iterable[Call]) -> None:
        self._found: dict[str, SecretPlace] = {}
        known: set[str] = set()
        for record in records:
            known.update(secret_texts(record.named_params))
            if record.reply is not None:
                known.update(secret_texts(record.reply.result))
        self._known = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True)))) if known else None

    @property
    def used(self) -> list[SecretPlace]:
        """The secrets that were replaced so far."""
        return list(self._found.values())

    def hide_params(self, record: Call) -> Any:
        """The params of a call with a `SecretPlace` for each secret, by its own name or that of its place."""
        params, named = record.params, record.named_params
        hidden = self.hide(named, record.method)
        if named is params:
            return hidden
        return list(hidden.values()) if isinstance(params, list) else hidden[record.names[0]]

    def hide(self, value: Any, method: str, key: str = "") -> Any:
        """A part of the params of a call of a method, under a key, with a `SecretPlace` for each secret."""
        if self._is_one(value, key):
            return self._secret(value, method, key)
        if isinstance(value, dict):
            return {name: self.hide(inner, method, str(name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(inner, method, key) for inner in value]
        return value

    def find(self, value: Any, key: str = "") -> SecretPlace | bool:
        """The secret that a value is, if it was replaced before; else whether it is one."""
        if self._is_one(value, key):
            return self._found.get(_identity(value), True)
        return False

    def without(self, text: str) -> str:
        """A text with asterisks for the secrets in it."""
        return mask_secrets(text if self._known is None else self._known.sub(MASKED, text))

    def _is_one(self, value: Any, key: str) -> bool:
        if key and is_secret(key) and _hidden(value):
            return True
        if not isinstance(value, str):
            return False
        return (self._known is not None and self._known.search(value) is not None) or mask_secrets(value) != value

    def _secret(self, value: Any, method: str, key: str) -> SecretPlace:
        identity = _identity(value)
        if (found := self._found.get(identity)) is None:
            plain = _NOT_NAME.sub("_", underscored(key)).strip("_").upper()
            name = plain if plain and is_secret(key) and not plain[0].isdigit() else f"SECRET_{plain}".rstrip("_")
            taken = {secret.name for secret in self._found.values()}
            number = 1
            while (unique := f"{name}_{number}" if number > 1 else name) in taken:
                number += 1
            found = self._found[identity] = SecretPlace(unique, key, method, isinstance(value, str))
        return found


def reason(record: Call, secrets: Secrets) -> str:
    """The error that a call was answered with, for a comment."""
    text = brief(secrets.without("" if record.error is None else record.error.message), _LONGEST_REASON)
    return f"error {record.code}: {brief(visible(text), _LONGEST_REASON)}"


def _hidden(value: Any) -> bool:
    """Whether a value under a secret key is one: that there is none, or that something is on or off, is not."""
    return value is not None and not isinstance(value, bool) and value not in ("", [], {})


def _identity(value: Any) -> str:
    return identity(value).decode()
