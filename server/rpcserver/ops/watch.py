"""Watching the app's files for `--reload`: a companion process that tells the arbiter when its workers are outdated.

Reloading them is the arbiter's business. watchfiles uses threads, which the arbiter must not have.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import os
import sys
import time
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.arbiter.companion import Duty
from rpcserver.system.errors import ServerError
from rpcserver.system.log import RateLimit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator

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
_LOOK_MS: Final = 1000
"""How often links on the way to the app are looked at: they lie outside of what is watched."""
_NAMED: Final = 3


class WatchUnavailable(ServerError):
    """The app's files cannot be watched."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"--reload {self.reason}"


class Watched(msgspec.Struct, frozen=True):
    """What is watched: a folder with what is below it, or one module's file in it.

    `app` is the app's own file or folder. All of them are without links.
    """

    folder: Path
    file: Path | None = None
    app: Path | None = None

    def __str__(self) -> str:
        return str(self.file or self.folder)

    def place(self) -> tuple[object, ...] | None:
        """What differs once links have changed, or another folder has the name; None where there is no folder."""
        try:
            found = self.folder.stat()
        except OSError:
            return None
        return self, found.st_dev, found.st_ino

    def concerns(self, path: Path) -> bool:
        """Whether a change of this file may change the app."""
        if self.file is not None:
            return path == self.file
        if path.suffix != _SUFFIX and not _leads_to_folder(path):
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
        path = (current / name).resolve()
        return Watched(path.parent, app=path)
    importlib.invalidate_caches()
    spec = PathFinder.find_spec(name.partition(".")[0], [str(current), *sys.path])
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        # The workers will say that there is no such module; it may yet be written.
        return Watched(current.resolve())
    if spec.submodule_search_locations:
        return Watched(Path(next(iter(spec.submodule_search_locations))).resolve())
    file = Path(str(spec.origin)).resolve()
    return Watched(file.parent, file if "site-packages" in file.parts else None, file)


def watch_duty(find: Callable[[], Watched], reload: Callable[[], object]) -> Duty:
    """What the companion that watches files has to do; `find` is asked for them again and again."""
    place = find().place()

    def on_change(message: bytes) -> None:
        logger.info("%s changed: reloading", message.decode(errors="replace"))
        reload()

    return Duty("reload", lambda end: _watch(find, place, end), on_change)


def write_no_bytecode() -> None:
    """Keep this process and its children from caching compiled modules.

    A cached module counts as current if its source's size and whole second of change are the same (PEP 552), so that
    the second of two quick changes could go unseen.
    """
    sys.dont_write_bytecode = True


def _watch(find: Callable[[], Watched], place: tuple[object, ...] | None, end: socket.socket) -> int:
    """Watch until the process ends; `place` is where the app was when the workers were started."""
    # It logs every change, and a log file may lie in the folder.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    problems = RateLimit()
    unseen_since = math.inf
    while True:
        watched = find()
        found = watched.place()
        if found is None:
            time.sleep(_LOOK_MS / 1000)
            continue
        if found != place:
            place = found
            _tell(end, [str(watched)])
        logger.info("watching %s", watched)
        try:
            for changed in _changes(watched):
                if find().place() != place:
                    break
                paths = {*changed, *_changed_since(unseen_since, watched)}
                unseen_since = math.inf
                _tell_paths(end, paths, watched)
                # What the link leads to is not watched yet.
                if any(map(_leads_to_folder, paths)):
                    break
        except RuntimeError as error:
            # watchfiles does not tell of a change to what has a name that is not UTF-8, nor of others in that moment.
            if problems.allows():
                logger.warning("some changes are seen late: %s", error)
            unseen_since = min(unseen_since, time.time() - _LONGEST_MS / 1000)
            time.sleep(_LOOK_MS / 1000)
            looked = time.time() - _QUIET_MS / 1000  # the times of files lag behind
            # Here as well, since the next one may come before anything else does.
            _tell_paths(end, _changed_since(unseen_since, watched), watched)
            unseen_since = looked


def _changes(watched: Watched) -> Iterator[list[Path]]:
    """What has changed, again and again, and nothing once a look without a change.

    Raises:
        RuntimeError: watchfiles cannot tell.
    """
    from watchfiles import watch

    def concerns(_: Change, path: str) -> bool:
        return watched.concerns(Path(path))

    for changed in watch(
        watched.folder,
        watch_filter=concerns,
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        recursive=watched.file is None,
        raise_interrupt=False,
        ignore_permission_denied=True,
    ):
        yield [Path(path) for _, path in changed]


def _changed_since(moment: float, watched: Watched) -> list[Path]:
    """The files that concern the app, and were written or put there since a moment of `time.time`, or inf for none."""
    found: list[Path] = []
    if moment == math.inf:
        return found
    for folder, folders, files in os.walk(watched.folder):
        folders[:] = [name for name in folders if name not in _NOT_THE_APPS]
        for path in (Path(folder, name) for name in files):
            with contextlib.suppress(OSError):
                if path.stat().st_ctime >= moment and watched.concerns(path):
                    found.append(path)
    return found


def _tell_paths(end: socket.socket, paths: Iterable[Path], watched: Watched) -> None:
    if names := sorted({str(path.relative_to(watched.folder)) for path in paths}):
        _tell(end, names)


def _tell(end: socket.socket, changed: list[str]) -> None:
    """Say what has changed; names of files need be no text."""
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    end.send(f"{', '.join(changed[:_NAMED])}{more}".encode("utf-8", "backslashreplace"))


def _leads_to_folder(path: Path) -> bool:
    return path.is_symlink() and path.is_dir()
