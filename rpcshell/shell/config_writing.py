"""Settings written into the configuration, which stays as its owner has laid it out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from rpcshell.client.errors import UsageError
from rpcshell.servers.folders import replace_file
from rpcshell.shell.config_reference import toml_setting
from rpcshell.shell.config_text import parse_config
from rpcshell.shell.toml_text import KeyPlaces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rpcshell.view.settings import Setting

_TABLE: Final = "settings"
_LINE: Final = re.compile(
    r"""(?P<key>[^=]*?\s*=\s*)(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"']+)(?P<rest>\s*(?:\#.*)?)"""
)
_HEADER: Final = re.compile(rf"\s*\[\s*{_TABLE}\s*\]\s*(?:#.*)?")


def save_settings(path: Path, settings: Iterable[Setting]) -> list[str]:
    """Write settings into the file of the configuration, which is made if it is not there, with its folder.

    A setting that has its default is written only where the file names it. Returned are the names of those
    that were written.

    Raises:
        UsageError: The file cannot be read or written, or has these settings in a way that only its owner can change.
    """
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device, as of --config /dev/null, is not replaced by a file.
            raise UsageError(f"{path} is no file that settings can be kept in")
        raw = path.read_bytes().decode() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
    newline = "\r\n" if "\r\n" in raw else "\n"
    # Editors on Windows begin files with a mark of their encoding, which is no TOML.
    mark = "\ufeff" if raw.startswith("\ufeff") else ""
    text = raw.removeprefix(mark).replace("\r\n", "\n")
    before = parse_config(path, text)
    written = {}
    for setting in settings:
        if setting.name in before.settings or setting.value != setting.default:
            written[setting.name] = toml_setting(setting.value)
            text = _with_setting(text, setting.name, written[setting.name])
    after = parse_config(path, text)
    as_before = replace(after, settings=before.settings, lines=before.lines, problems=before.problems)
    as_meant = all(toml_setting(_typed(after.settings.get(name))) == value for name, value in written.items())
    if not as_meant or as_before != before or len(after.problems) != len(before.problems):
        wanted = ", ".join(f"{name} = {value}" for name, value in written.items())
        raise UsageError(f"cannot write the settings into {path} as it is laid out", hint=f"under [{_TABLE}]: {wanted}")
    _write(path, mark + text.replace("\n", newline))
    return list(written)


def _typed(value: object) -> str:
    """A value as `:set` reads it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _with_setting(text: str, name: str, value: str) -> str:
    lines = text.split("\n")
    spellings = (name, name.replace("_", "-"))
    places = KeyPlaces(text)
    at = next((line for spelled in spellings if (line := places.line([_TABLE, spelled]))), None)
    if at is not None:
        if (found := _LINE.fullmatch(lines[at - 1])) is not None:
            lines[at - 1] = f"{found['key']}{value}{found['rest']}"
        return "\n".join(lines)
    head = next((index for index, line in enumerate(lines) if _HEADER.fullmatch(line)), None)
    if head is None:
        return f"{text.rstrip()}\n\n[{_TABLE}]\n{name} = {value}\n".lstrip()
    lines.insert(head + 1, f"{name} = {value}")
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    """Put a text in the place of a file at once, or of the file that it is a link to."""
    try:
        # Where it is kept with other settings of its owner's, it is a link.
        place = path.resolve()
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(place, text.encode(), mode=place.stat().st_mode & 0o777 if place.exists() else 0o600)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
