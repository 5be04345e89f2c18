"""The files that a language server knows from its client: opened, told of when they change on the disk, and closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from rpcwire import EncodeError

_MOST_OFFERED: Final = 200
_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a file; its text is held several times until it is sent."""

Told = tuple[str, dict[str, Any]]
"""A notification: its method and its params."""


class _OpenFile(msgspec.Struct):
    path: Path
    uri: str
    stamp: tuple[int, int] | None
    version: int = 1


class OpenFiles:
    """The files that are open on one connection; `languages` are by the endings of files, without their dots."""

    def __init__(self, languages: Mapping[str, str]) -> None:
        self._languages = languages
        self._files: dict[str, _OpenFile] = {}

    @property
    def names(self) -> list[str]:
        """Their paths, from this folder on where they are in it."""
        here = Path.cwd()
        paths = (file.path for file in self._files.values())
        return [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in paths]

    def open(self, file: str) -> Iterator[Told]:
        """What is to be told for a file to be open, and as it is on the disk.

        Raises:
            EncodeError: It cannot be read as a text.
        """
        uri = uri_of(file)
        if (known := self._files.get(uri)) is not None:
            yield from self._told_changed(known)
            return
        path = Path(unquote(urlsplit(uri).path))
        stamp, text = _read(path)
        self._files[uri] = _OpenFile(path, uri, stamp)
        language = self._languages.get(path.suffix[1:].lower(), path.suffix[1:].lower() or "plaintext")
        yield (
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": language, "version": 1, "text": text}},
        )

    def close(self, file: str) -> Iterator[Told]:
        """What is to be told for a file to be closed; raises `EncodeError` where it is not open."""
        uri = uri_of(file)
        if self._files.pop(uri, None) is None:
            raise EncodeError(f"{file} is not open")
        yield "textDocument/didClose", {"textDocument": {"uri": uri}}

    def changed(self) -> Iterator[Told]:
        """What is to be told of files that are no longer on the disk as they were; others stay as they were."""
        for known in self._files.values():
            if _stamp(known.path) not in (None, known.stamp):
                with suppress(EncodeError):
                    yield from self._told_changed(known)

    def offered(self, typed: str) -> list[str]:
        """Files that a path may mean that begins as typed: those that are open, then those of its folder."""
        folder = typed[: typed.rfind("/") + 1]
        try:
            found = sorted(Path(folder or ".").expanduser().iterdir())
        except OSError:
            found = []
        visible = (one for one in found if not one.name.startswith(".") or typed[len(folder) :].startswith("."))
        fitting = [one for one in visible if one.name.startswith(typed[len(folder) :])]
        beside = (f"{folder}{one.name}{'/' if one.is_dir() else ''}" for one in fitting[:_MOST_OFFERED])
        return list(dict.fromkeys((*self.names, *beside)))

    def _told_changed(self, known: _OpenFile) -> Iterator[Told]:
        stamp, text = _read(known.path)
        if stamp == known.stamp:
            return
        known.stamp, known.version = stamp, known.version + 1
        identified = {"uri": known.uri, "version": known.version}
        yield "textDocument/didChange", {"textDocument": identified, "contentChanges": [{"text": text}]}


def uri_of(file: str) -> str:
    """The URI of a file: of its path, or as it is."""
    return file if file.startswith("file:") else (Path.cwd() / Path(file).expanduser()).as_uri()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _read(path: Path) -> tuple[tuple[int, int] | None, str]:
    stamp = _stamp(path)
    if stamp is not None and not path.is_file():
        # Reading a pipe would wait for whoever writes to it.
        raise EncodeError(f"{path} is no file with a text")
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise EncodeError(f"{path} has more than {_LARGEST // 1024**2} MiB, which is more than is opened")
        return stamp, data.decode()
    except OSError as error:
        raise EncodeError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise EncodeError(f"{path} is no text in UTF-8: {error.reason}") from None
