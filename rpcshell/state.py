"""What is remembered between runs about targets: which are plain, in one small file of the state folder.

The file is a convenience: a damaged, unreadable or unwritable one means that nothing is remembered, never an error.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["PlainTargets"]

_MOST_ENTRIES: Final = 200
_MOST_BYTES: Final = 256 * 1024


class _File(msgspec.Struct):
    plain_until: dict[str, float] = {}


class PlainTargets:
    """Targets that cannot describe themselves, so that they are not asked again in every run.

    Args:
        folder: Gives the folder of the file when it is first needed.
        clock: Gives the time, in seconds since the epoch.
    """

    def __init__(self, folder: Callable[[], Path], clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def remembers(self, target: str) -> bool:
        """Whether a target is remembered as plain."""
        return target in self._read()

    def remember(self, target: str, *, seconds: float) -> None:
        """Remember a target as plain for a time; the entries that end first make room for new ones."""
        entries = self._read()
        entries[target] = self._clock() + seconds
        latest = sorted(entries.items(), key=lambda entry: entry[1], reverse=True)[:_MOST_ENTRIES]
        self._write(dict(latest))

    def forget(self, target: str) -> None:
        """Forget a target."""
        entries = self._read()
        if entries.pop(target, None) is not None:
            self._write(entries)

    def _read(self) -> dict[str, float]:
        try:
            with (self._folder() / "targets.json").open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                return {}
            entries = msgspec.json.decode(data, type=_File).plain_until
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        now = self._clock()
        return {target: until for target, until in entries.items() if until > now}

    def _write(self, entries: Mapping[str, float]) -> None:
        import tempfile
        from pathlib import Path

        data = msgspec.json.encode(_File(dict(entries)))
        # Another shell may be writing too: each writes a file of its own, and the last rename wins.
        with contextlib.suppress(OSError):
            folder = self._folder()
            descriptor, name = tempfile.mkstemp(prefix="targets.", dir=folder)  # mode 0600
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                Path(name).replace(folder / "targets.json")
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
