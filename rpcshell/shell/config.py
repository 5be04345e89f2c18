"""The user's configuration: named targets, dialects, settings, keys and aliases, read from a TOML file.

What a setting may be is `rpcshell.view.settings`'s to say, what a key does the prompt's. Nothing is imported to read
a file that is not there.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from rpcshell.client.dialect_names import is_dialect_name
from rpcshell.client.errors import UsageError
from rpcshell.line.near_names import near_names
from rpcshell.servers.folders import config_file, user_path
from rpcshell.shell.target_config import TargetConfig, TargetProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rpcshell.client.dialects.envelope import Envelope


__all__ = ["VARIABLE", "Config", "ConfigProblem", "load_config", "parse_config", "usable_config"]

VARIABLE: Final = "RPCSHELL_CONFIG"
"""The environment variable that says where the file is; empty for none."""

_NAME: Final = re.compile(r"[^\W\d][\w.-]*")
_HEADER: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_PART: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*""")
_KINDS: Final = {
    "str": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "array": "a list",
    "object": "a table",
}
_WHOLE_ENTRIES: Final = {"str": "a text in quotes", "bool | int | float | str": "a text, a number, or true or false"}


class ConfigProblem(UsageError):
    """The configuration cannot be used; the message begins with the file and the line."""

    def __init__(self, path: Path, reason: str, *, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f':{line}'}: {reason}", hint=hint)


_ENTRIES: Final[dict[str, Any]] = {
    "targets": TargetConfig,
    "dialects": dict,
    "settings": str | int | float | bool,
    "keys": str,
    "aliases": str,
}
"""What the entries of each table are."""


class Config(msgspec.Struct, frozen=True):
    """What the configuration says; empty without one.

    Targets and dialects are by name, keys have an action or a line, aliases stand for the beginning of a line. The
    values of settings are not checked; `lines` has the lines of the file on which they are given.
    """

    targets: Mapping[str, TargetConfig] = {}
    dialects: Mapping[str, Envelope] = {}
    settings: Mapping[str, str | int | float | bool] = {}
    keys: Mapping[str, str] = {}
    aliases: Mapping[str, str] = {}
    path: Path | None = None
    lines: Mapping[str, int] = {}

    def problem(self, setting: str, error: UsageError) -> ConfigProblem:
        """The error for a setting that has no such value, or does not exist, with its place."""
        if self.path is None:
            raise error
        return ConfigProblem(self.path, error.message, line=self.lines.get(setting), hint=error.hint)


def load_config(path: Path | str | None = None) -> Config:
    """Read the configuration from where it is said, or else from where `RPCSHELL_CONFIG` or the platform says.

    Raises:
        ConfigProblem: It cannot be read, or is not a configuration.
    """
    given = os.environ.get(VARIABLE) if path is None else str(path)
    if given == "":
        return Config()
    try:
        file = config_file() if given is None else user_path(given)
    except OSError:
        # Without a home there is no configuration in it.
        return Config()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if given is None:
            return Config()
        raise ConfigProblem(file, "there is no such file") from None
    except OSError as error:
        raise ConfigProblem(file, f"it cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ConfigProblem(file, "it is not UTF-8", line=_line_at(error.object, error.start)) from None
    return parse_config(file, text)


def parse_config(path: Path, text: str) -> Config:
    """What the text of a configuration says; the path is for messages and for the files that it names.

    Raises:
        ConfigProblem: It is not a configuration.
    """
    return _File(path, text).read()


def usable_config(path: Path | str | None = None) -> tuple[Config, ConfigProblem | None]:
    """The configuration, and what is wrong with it; a bad one counts as none, unless it was asked for by name.

    The names of its dialects stand for them from now on, in all of the process.

    Raises:
        ConfigProblem: The file of `path` cannot be used.
    """
    try:
        config = load_config(path)
        if config.dialects:
            from rpcshell.client.dialects.registry import name_dialects

            name_dialects(config.dialects)
        return config, None
    except ConfigProblem as error:
        if path is not None:
            raise
        return Config(), error


def _line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


class _File:
    """A file that is being read."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def read(self) -> Config:
        """What it says."""
        document = self._document()
        for name, entries in document.items():
            if name not in _ENTRIES:
                raise self._error([name], f"{name!r} is no part of a configuration", hint=_near(name, list(_ENTRIES)))
            if not isinstance(entries, dict):
                raise self._error([name], f"{name} is a table: write [{name}] on a line of its own")
        found = {
            table: {name: self._entry([table, name], value, kind) for name, value in document.get(table, {}).items()}
            for table, kind in _ENTRIES.items()
        }
        dialects = {name: self._dialect(name, table) for name, table in found["dialects"].items()}
        return Config(
            targets={name: self._target(name, target, dialects) for name, target in found["targets"].items()},
            dialects=dialects,
            settings={name.replace("-", "_"): value for name, value in found["settings"].items()},
            keys=found["keys"],
            aliases=self._aliases(found["aliases"]),
            path=self._path,
            lines={
                name.replace("-", "_"): line for name in found["settings"] if (line := self._place(["settings", name]))
            },
        )

    def _entry(self, where: list[str], value: Any, kind: Any) -> Any:
        """An entry of a table, as what such entries are."""
        if kind is TargetConfig and isinstance(value, str):
            value = {"address": value}
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise self._invalid(where, str(error), kind) from None

    def _document(self) -> dict[str, Any]:
        import tomllib

        try:
            return tomllib.loads(self._text)
        except RecursionError:
            raise ConfigProblem(self._path, "it is nested too deeply") from None
        except tomllib.TOMLDecodeError as error:
            found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
            if found is None:
                raise ConfigProblem(self._path, f"it is not TOML: {error}") from None
            line = int(found[2]) if found[2] else self._text.count("\n") + 1
            column = f" at column {found[3]}" if found[3] else " at the end of the file"
            raise ConfigProblem(self._path, f"this is not TOML{column}: {_lower(found[1])}", line=line) from None

    def _dialect(self, name: str, table: dict[str, Any]) -> Envelope:
        from rpcshell.client.dialects.envelope import Envelope, EnvelopeProblem
        from rpcshell.client.dialects.registry import is_own

        where = ["dialects", name]
        if not is_dialect_name(name):
            hint = "a name has small letters, digits and _, begins with a letter, and is no kind of address"
            raise self._error(where, f"{name!r} is no name for a dialect", hint=hint)
        if is_own(name):
            raise self._error(where, f"{name} is a dialect of rpcshell's own", hint="give it another name")
        try:
            found: Envelope = self._entry(where, table, Envelope)
        except EnvelopeProblem as problem:
            reason = f"{'.'.join(where)}.{problem.message}"
            raise self._error([*where, problem.key], reason, hint=problem.hint) from None
        return found

    def _target(self, name: str, found: TargetConfig, dialects: Mapping[str, Envelope]) -> TargetConfig:
        where = ["targets", name]
        if not _NAME.fullmatch(name):
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
        return msgspec.structs.replace(
            found,
            tls_ca=self._beside(found.tls_ca),
            tls_cert=self._beside(found.tls_cert),
            tls_key=self._beside(found.tls_key),
            registry_credentials=self._beside(found.registry_credentials),
            cwd=self._beside(found.cwd),
            openrpc=self._beside(found.openrpc) if isinstance(found.openrpc, str) else found.openrpc,
        )

    def _beside(self, file: str | None) -> str | None:
        """A file as it is found from anywhere; what is relative is relative to the configuration."""
        return None if file is None else str(self._path.absolute().parent / user_path(file))

    def _aliases(self, aliases: dict[str, str]) -> dict[str, str]:
        for name, line in aliases.items():
            if not name or name.startswith(":") or re.search(r"[\s{}\[\]<>\"'=#$|]", name):
                hint = "it is one word, without brackets, quotes, = # $ | and a colon before it"
                raise self._error(["aliases", name], f"{name!r} is no word for an alias", hint=hint)
            if not line.strip():
                raise self._error(["aliases", name], f"aliases.{name} stands for nothing")
        return aliases

    def _invalid(self, where: list[str], message: str, kind: Any) -> ConfigProblem:
        """The error that msgspec tells of, in words."""
        reason, _, inside = message.partition(" - at `$.")
        inner = re.split(r"[.\[]", inside.rstrip("`"))[0]
        table = [*where, inner] if inner else where
        if unknown := re.match(r"Object contains unknown field `(.*)`", reason):
            names = [field.encode_name for struct in _structs(kind, inner) for field in msgspec.structs.fields(struct)]
            path = [*table, unknown[1]]
            return self._error(path, f"{'.'.join(path)} means nothing", hint=_near(unknown[1], names))
        if missing := re.match(r"Object missing required field `(.*)`", reason):
            return self._error(table, f"{'.'.join(table)} has no {missing[1]}")
        found = re.match(r"Expected `(.*)`, got `(.*?)`(?: - at `\$\.(.*)`)?$", message)
        if found is None:
            return self._error(where, f"{'.'.join(where)}: {message}")
        path = [*where, *found[3].partition("[")[0].split(".")] if found[3] else where
        kinds = [_KINDS.get(kind, kind) for kind in found[1].split(" | ") if kind != "null"]
        wanted = _WHOLE_ENTRIES.get(found[1], kinds[0]) if path is where else " or ".join(kinds)
        what = ".".join(path) if "[" not in (found[3] or "") else f"what is in {'.'.join(path)}"
        return self._error(path, f"{what} is {wanted}, not {_KINDS.get(found[2], found[2])}")

    def _error(self, where: list[str], reason: str, *, hint: str | None = None) -> ConfigProblem:
        places = (self._place(where[:end]) for end in range(len(where), 0, -1))
        return ConfigProblem(self._path, reason, line=next(filter(None, places), None), hint=hint)

    def _place(self, where: list[str]) -> int | None:
        """The number of the line on which a key is given, or None where that cannot be told."""
        table: list[str] = []
        for number, line in enumerate(self._text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _path(header[1])
                if table == where:
                    return number
            elif "=" in line and [*table, *_path(line.partition("=")[0])] == where:
                return number
        return None


def _structs(kind: Any, inner: str) -> Iterator[type[msgspec.Struct]]:
    """The tables that an entry, or what is in it under a key, may be."""
    kinds = [kind]
    if inner:
        kinds = [field.type for field in msgspec.structs.fields(kind) if field.encode_name == inner]
    for each in kinds:
        for one in (each, *get_args(each)):
            if isinstance(one, type) and issubclass(one, msgspec.Struct):
                yield one


def _path(text: str) -> list[str]:
    """The parts of a key with dots."""
    parts, position = [], 0
    while found := _PART.match(text, position):
        parts.append(next(part for part in found.groups() if part is not None))
        position = found.end() + 1
    return parts


def _near(name: str, known: list[str]) -> str:
    near = near_names(name.lower().replace("_", "-"), known, nearness=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
