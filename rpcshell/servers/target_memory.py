"""What is remembered between runs about targets, in one file of the state folder: what they speak, which are plain,
and which were used.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from rpcshell.servers.folders import StateFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FILE: Final = "targets.json"
_MOST_ENTRIES: Final = 200
_MOST_RECENT: Final = 20
_MOST_BYTES: Final = 256 * 1024


class _Remembered(msgspec.Struct):
    plain_until: dict[str, float] = {}
    recent: list[str] = []
    spoken: dict[str, str] = {}


class TargetMemory:
    """Targets that cannot describe themselves, so that they are not asked in every run, and those that were used."""

    def __init__(self, folder: Callable[[], Path], clock: Callable[[], float] = time.time) -> None:
        self._file = StateFile(folder, _FILE, _Remembered, most=_MOST_BYTES)
        self._clock = clock
        # Threads of one shell lose nothing of each other's; of two shells the later one may.
        self._changing = threading.Lock()

    def remembers(self, target: str) -> bool:
        """Whether a target is remembered as plain."""
        return target in self._read().plain_until

    def remember(self, target: str, *, seconds: float) -> None:
        """Remember a target as plain for a time; the entries that end first make room for new ones."""
        with self._changing:
            known = self._read()
            entries = {**known.plain_until, target: self._clock() + seconds}
            latest = sorted(entries.items(), key=lambda entry: entry[1], reverse=True)[:_MOST_ENTRIES]
            self._write(replace(known, plain_until=dict(latest)))

    def forget(self, target: str) -> None:
        """Forget that a target is plain."""
        with self._changing:
            known = self._read()
            if known.plain_until.pop(target, None) is not None:
                self._write(known)

    def recent(self) -> tuple[str, ...]:
        """The targets that were used, the last one first."""
        return tuple(self._read().recent)

    def used(self, target: str) -> None:
        """Remember that a target is being used; those that were not for longest make room."""
        with self._changing:
            known = self._read()
            recent = [target, *(other for other in known.recent if other != target)][:_MOST_RECENT]
            if recent != known.recent:
                self._write(replace(known, recent=recent))

    def spoken(self, target: str) -> str | None:
        """Where a target without a dialect leads, with the one that it spoke last, or None."""
        return self._read().spoken.get(target)

    def learn(self, target: str, spoken: str) -> None:
        """Remember what a target without a dialect speaks; what was learnt first makes room."""
        with self._changing:
            known = self._read()
            others = {one: leads for one, leads in known.spoken.items() if one != target}
            latest = [*others.items(), (target, spoken)][-_MOST_ENTRIES:]
            self._write(replace(known, spoken=dict(latest)))

    def _read(self) -> _Remembered:
        found = self._file.read() or _Remembered()
        now = self._clock()
        plain = {target: until for target, until in found.plain_until.items() if until > now}
        return replace(found, plain_until=plain)

    def _write(self, content: _Remembered) -> None:
        plain = {target: until for target, until in content.plain_until.items() if not _holds_secret(target)}
        recent = [target for target in content.recent if not _holds_secret(target)]
        spoken = {target: leads for target, leads in content.spoken.items() if not _holds_secret(leads)}
        self._file.write(_Remembered(plain, recent, spoken))


def _holds_secret(target: str) -> bool:
    """Whether a target should not be written down: the query of its URL, or its command, has a secret in it."""
    if "://" not in target and "exec:" not in target:
        return False
    from rpcshell.line.secrets import secrets_in_text

    return bool(secrets_in_text(target))
