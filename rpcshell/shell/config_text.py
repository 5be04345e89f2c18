"""What the text of a configuration says, in TOML: as much of it as makes sense, and what is wrong with the rest."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import msgspec

from rpcshell.client.dialect_names import OWN, is_dialect_name
from rpcshell.line.near_names import near_names
from rpcshell.servers.folders import user_path
from rpcshell.shell.config import Config, ConfigProblem
from rpcshell.shell.target_config import TargetConfig, TargetProblem
from rpcshell.shell.toml_text import KeyPlaces, read_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rpcshell.client.dialects.envelope import Envelope

_NAME: Final = r"[^\W\d][\w.-]*"
_UNKNOWN: Final = r"Object contains unknown field `(.*)`"
_Entry = TypeVar("_Entry")
_KINDS: Final = {
    "str": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "array": "a list",
    "object": "a table",
}
_WHOLE_ENTRIES: Final = {"str": "a text in quotes", "bool | int | float | str": "a text, a number, or true or false"}
_ENTRIES: Final[dict[str, Any]] = {
    "targets": TargetConfig,
    "dialects": dict,
    "settings": str | int | float | bool,
    "keys": str,
    "aliases": str,
}
"""What the entries of each table are."""

_FILES: Final = ("tls_ca", "tls_cert", "tls_key", "registry_credentials", "cwd", "openrpc")
"""Of a target; `openrpc` may be a command instead."""


def parse_config(path: Path, text: str) -> Config:
    """What the text of a configuration says; the path is for messages and for the files that it names."""
    return _File(path, text).read()


class _File:
    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._problems: list[ConfigProblem] = []
        self._refused: dict[str, ConfigProblem] = {}
        self._broken: dict[tuple[str, ...], ConfigProblem] = {}
        """What is no TOML, the first of each entry of a table."""

    def read(self) -> Config:
        """What it says, but for what is wrong."""
        document, wrong = read_toml(self._text)
        for reason, line in wrong:
            problem = ConfigProblem(self._path, reason, line=line)
            self._problems.append(problem)
            if line is not None:
                self._broken.setdefault(self._places.table(line)[:2], problem)
        found = {table: dict(self._entries(table, document.pop(table, {}))) for table in _ENTRIES}
        for name, value in document.items():
            hint = _place_of(name, value)
            self._problems.append(self._error([name], f"{name!r} is no part of a configuration", hint=hint))
        dialects = self._good("dialects", found["dialects"], self._dialect)
        return Config(
            targets=self._good("targets", found["targets"], lambda name, one: self._target(name, one, dialects)),
            dialects=dialects,
            settings={name.replace("-", "_"): value for name, value in found["settings"].items()},
            keys=found["keys"],
            aliases=self._good("aliases", found["aliases"], self._alias),
            path=self._path,
            lines={
                (table, name.replace("-", "_") if table == "settings" else name): line
                for table in ("settings", "keys")
                for name in found[table]
                if (line := self._places.line([table, name]))
            },
            problems=tuple(sorted(self._problems, key=lambda problem: problem.line or 0)),
            refused=self._refused,
        )

    def _entries(self, table: str, entries: Any) -> Iterator[tuple[str, Any]]:
        """The entries of a table that are what such entries are."""
        if not isinstance(entries, dict):
            self._problems.append(self._error([table], f"{table} is a table: write [{table}] on a line of its own"))
            return
        for name, value in entries.items():
            with self._told(table, name):
                yield name, self._entry([table, name], value, _ENTRIES[table])

    def _good(self, table: str, entries: Mapping[str, Any], made: Callable[[str, Any], _Entry]) -> dict[str, _Entry]:
        """What is made of the entries of a table, but for those of which nothing can be."""
        found = {}
        for name, entry in entries.items():
            with self._told(table, name):
                found[name] = made(name, entry)
        return found

    @contextmanager
    def _told(self, table: str, name: str) -> Iterator[None]:
        """Keep what is found to be wrong with an entry."""
        try:
            yield
        except ConfigProblem as problem:
            # What lacks something may lack the line that was left out.
            cause = self._broken.get((table, name), problem)
            if cause is problem:
                self._problems.append(problem)
            if table == "targets":
                self._refused[name] = cause

    def _entry(self, where: list[str], value: Any, kind: Any) -> Any:
        """An entry of a table, as what such entries are; keys of a target that mean nothing are told, and left out."""
        if kind is TargetConfig and isinstance(value, str):
            value = {"address": value}
        if kind is TargetConfig and isinstance(value, dict):
            known = list(TargetConfig.__struct_encode_fields__)
            self._problems += [self._unknown([*where, key], known) for key in value if key not in known]
            value = {key: each for key, each in value.items() if key in known}
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise self._invalid(where, str(error), kind) from None

    def _dialect(self, name: str, table: dict[str, Any]) -> Envelope:
        from rpcshell.client.dialects.envelope import Envelope, EnvelopeProblem

        where = ["dialects", name]
        if not is_dialect_name(name):
            hint = "a name has small letters, digits and _, begins with a letter, and is no kind of address"
            raise self._error(where, f"{name!r} is no name for a dialect", hint=hint)
        if name in OWN:
            raise self._error(where, f"{name} is a dialect of rpcshell's own", hint="give it another name")
        try:
            found: Envelope = self._entry(where, table, Envelope)
        except EnvelopeProblem as problem:
            reason = f"{'.'.join(where)}.{problem.message}"
            raise self._error([*where, problem.key], reason, hint=problem.hint) from None
        return found

    def _target(self, name: str, found: TargetConfig, dialects: Mapping[str, Envelope]) -> TargetConfig:
        where = ["targets", name]
        if not re.fullmatch(_NAME, name):
            hint = "a name begins with a letter and has no colon, slash or blank"
            raise self._error(where, f"{name!r} is no name for a target", hint=hint)
        try:
            found.target_among(dialects)
        except TargetProblem as problem:
            place = [*where, problem.key] if problem.key else where
            reason = problem.message if problem.key in ("address", "dialect") else f"targets.{name} {problem.message}"
            raise self._error(place, reason, hint=problem.hint) from None
        if found.timeout is not None and not found.timeout > 0:
            raise self._error([*where, "timeout"], f"targets.{name}.timeout is a number of seconds above 0")
        # What is relative is relative to the configuration.
        folder = self._path.absolute().parent
        files = {key: file for key in _FILES if isinstance(file := getattr(found, key), str)}
        return msgspec.structs.replace(found, **{key: str(folder / user_path(file)) for key, file in files.items()})

    def _alias(self, name: str, line: str) -> str:
        if not name or name.startswith(":") or re.search(r"[\s{}\[\]<>\"'=#$|]", name):
            hint = "it is one word, without brackets, quotes, = # $ | and a colon before it"
            raise self._error(["aliases", name], f"{name!r} is no word for an alias", hint=hint)
        if not line.strip():
            raise self._error(["aliases", name], f"aliases.{name} stands for nothing")
        return line

    def _invalid(self, where: list[str], message: str, kind: Any) -> ConfigProblem:
        """The error that msgspec tells of, in words."""
        reason, _, inside = message.partition(" - at `$.")
        inner = re.split(r"[.\[]", inside.rstrip("`"))[0]
        table = [*where, inner] if inner else where
        if unknown := re.match(_UNKNOWN, reason):
            names = [field.encode_name for struct in _structs(kind, inner) for field in msgspec.structs.fields(struct)]
            return self._unknown([*table, unknown[1]], names)
        if missing := re.match(r"Object missing required field `(.*)`", reason):
            return self._error(table, f"{'.'.join(table)} has no {missing[1]}")
        found = re.match(r"Expected `(.*)`, got `(.*?)`(?: - at `\$\.(.*)`)?$", message)
        if found is None:
            return self._error(where, f"{'.'.join(where)}: {message}")
        path = [*where, *found[3].partition("[")[0].split(".")] if found[3] else where
        kinds = [_KINDS.get(kind, kind) for kind in found[1].split(" | ") if kind != "null"]
        wanted = _WHOLE_ENTRIES.get(found[1], kinds[0]) if path is where else " or ".join(kinds)
        if kind is TargetConfig and path is where:
            wanted = "an address in quotes, or a table"
        what = ".".join(path) if "[" not in (found[3] or "") else f"what is in {'.'.join(path)}"
        return self._error(path, f"{what} is {wanted}, not {_KINDS.get(found[2], found[2])}")

    def _unknown(self, path: list[str], known: list[str]) -> ConfigProblem:
        """The error for a key that means nothing where it stands."""
        return self._error(path, f"{'.'.join(path)} means nothing", hint=_near(path[-1], known))

    def _error(self, where: list[str], reason: str, *, hint: str | None = None) -> ConfigProblem:
        places = (self._places.line(where[:end]) for end in range(len(where), 0, -1))
        return ConfigProblem(self._path, reason, line=next(filter(None, places), None), hint=hint)

    @cached_property
    def _places(self) -> KeyPlaces:
        return KeyPlaces(self._text)


def _structs(kind: Any, inner: str) -> Iterator[type[msgspec.Struct]]:
    """The tables that an entry, or what is in it under a key, may be."""
    kinds = [kind]
    if inner:
        kinds = [field.type for field in msgspec.structs.fields(kind) if field.encode_name == inner]
    for each in kinds:
        for one in (each, *get_args(each)):
            if isinstance(one, type) and issubclass(one, msgspec.Struct):
                yield one


def _place_of(name: str, value: Any) -> str:
    """Where what stands in no table that there is was meant to stand."""
    if not isinstance(value, dict | list):
        return "a setting stands below [settings]"
    if "address" in value or "command" in value:
        return f"did you mean [targets.{name}]?"
    return _near(name, list(_ENTRIES), nearness=0.6)


def _near(name: str, known: list[str], *, nearness: float = 0.5) -> str:
    near = near_names(name.lower().replace("_", "-"), known, nearness=nearness)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
