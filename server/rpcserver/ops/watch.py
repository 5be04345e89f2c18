"""Watching the app's files for `--reload`: a companion process that tells the arbiter when its workers are outdated.

Reloading them is the arbiter's business. watchfiles uses threads, which the arbiter must not have.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.arbiter.companion import Duty
from rpcserver.system.errors import ServerError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from watchfiles import Change

logger = logging.getLogger(__name__)

_SUFFIX: Final = ".py"
_NOT_THE_APPS: Final = frozenset(
    {"__pycache__", "site-packages", "node_modules", ".git", ".hg", ".svn", ".tox", ".nox", ".venv", ".idea"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
)
_MADE_BY_VENV: Final = "pyvenv.cfg"
_QUIET_MS: Final = 100
_LONGEST_MS: Final = 1000
_NAMED: Final = 3


class _Changes(msgspec.Struct, frozen=True):
    """Files that have changed: some by name, and how many more there are."""

    names: list[str]
    more: int


class WatchUnavailable(ServerError):
    """The app's files cannot be watched."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"--reload {self.reason}"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: a folder with what is below it, or one module's file in it."""

    folder: Path
    file: Path | None = None

    def __str__(self) -> str:
        return str(self.file or self.folder)

    def concerns(self, path: Path) -> bool:
        """Whether a change of this file may change the app."""
        if self.file is not None:
            return path == self.file
        if path.suffix != _SUFFIX:
            return False
        try:
            parts = path.relative_to(self.folder).parts[:-1]
        except ValueError:
            return False
        if not _NOT_THE_APPS.isdisjoint(parts):
            return False
        above = [self.folder.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        return not any((folder / _MADE_BY_VENV).exists() for folder in above)


def watched_by(app: str | None, current: Path) -> Watched:
    """Find out what to watch for an app, without importing it.

    That is the folder of a file, the outermost package of a module in a package, and the folder of a module that
    is in no package; if that is an installed one, its file alone.

    Raises:
        WatchUnavailable: there is nothing to watch, or no package to watch it with.
    """
    if importlib.util.find_spec("watchfiles") is None:
        raise WatchUnavailable("needs the package watchfiles: pip install 'rpcshell[reload]'")
    if app is None:
        raise WatchUnavailable("watches your app's files, and the demo has none: name an APP")
    name = app.rpartition(":")[0] if ":" in app and not app.endswith(".py") else app
    if name.endswith(".py") or "/" in name:
        return Watched((current / name).resolve().parent)
    spec = PathFinder.find_spec(name.partition(".")[0], [str(current), *sys.path])
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        # The workers will say that there is no such module; it may yet be written.
        return Watched(current.resolve())
    if spec.submodule_search_locations:
        return Watched(Path(next(iter(spec.submodule_search_locations))).resolve())
    file = Path(str(spec.origin)).resolve()
    return Watched(file.parent, file if "site-packages" in file.parts else None)


def watch_duty(watched: Watched, reload: Callable[[], object]) -> Duty:
    """What the companion that watches files has to do."""

    def on_change(message: bytes) -> None:
        changes = msgspec.json.decode(message, type=_Changes)
        more = f" and {changes.more} more" if changes.more else ""
        logger.info("%s%s changed: reloading", ", ".join(changes.names), more)
        reload()

    return Duty("reload", lambda end: _watch(watched, end), on_change)


def write_no_bytecode() -> None:
    """Keep this process and its children from caching compiled modules.

    A cached module counts as current if its source's size and whole second of change are the same (PEP 552), so that
    the second of two quick changes could go unseen.
    """
    sys.dont_write_bytecode = True


def _watch(watched: Watched, end: socket.socket) -> int:
    """Watch until the process ends."""
    from watchfiles import watch

    def concerns(_: Change, path: str) -> bool:
        return watched.concerns(Path(path))

    # It logs every change, and a log file may lie in the folder.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    logger.info("watching %s", watched)
    changes = watch(
        watched.folder,
        watch_filter=concerns,
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        recursive=watched.file is None,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    for changed in changes:
        names = sorted({_shown(Path(path), watched.folder) for _, path in changed})
        end.send(msgspec.json.encode(_Changes(names[:_NAMED], len(names[_NAMED:]))))
    return 1


def _shown(path: Path, folder: Path) -> str:
    text = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    return text.encode("utf-8", "backslashreplace").decode()
