"""The history of lines on disk: private, capped, shared by several shells, and without secrets.

The file has one JSON string a line, oldest first. A line of it that cannot be read is skipped. Every entry is
written with one write under a lock, so that shells that run at the same time lose nothing of each other's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Final

from prompt_toolkit.history import History

from rpcshell.servers.folders import replace_file, state_folder, user_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rpcshell.line.masking import Known

_MAX_ENTRIES: Final = 10_000
"""Entries that are kept; a tenth more, and the oldest are cut when a shell starts."""

VARIABLE: Final = "RPCSHELL_HISTORY"
"""Environment variable with the path of the history file; empty or `/dev/null` for none at all."""

_MODE: Final = 0o600


def history_path() -> Path | None:
    """Where the history is: `$RPCSHELL_HISTORY`, else `history` in the platform's state folder; None for nowhere.

    Raises `OSError` where there is no state folder and it cannot be made.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        return None if named in {"", os.devnull} else user_path(named)
    return state_folder() / "history"


class LineHistory(History):
    """A history in a file, which is made with mode 0600 whatever the umask, and mended to it.

    The file is read when prompt_toolkit first asks, which is after the prompt has been drawn; only then is a path that
    is a function asked for. Without a path the history is in memory. `on_problem` is told once, in one line, that the
    file cannot be used; the shell goes on without it. `known` tells what is known of secrets when a line is kept.
    """

    def __init__(
        self,
        path: Path | Callable[[], Path | None] | None,
        *,
        cap: int = _MAX_ENTRIES,
        on_problem: Callable[[str], None] = lambda _text: None,
        known: Callable[[], Known] | None = None,
    ) -> None:
        super().__init__()
        self._path = path
        self._cap = cap
        self._on_problem = on_problem
        self._known = known
        self._broken = False
        self._last: str | None = None

    def append_string(self, string: str) -> None:
        """Keep a line, after those that are in the file."""
        if not self._loaded:
            self._loaded_strings = list(self.load_history_strings())
            self._loaded = True
        super().append_string(string)

    def load_history_strings(self) -> Iterable[str]:
        """The entries of the file, newest first; cuts the file if it has grown over the cap."""
        entries: list[str] = []
        with self._problems_told():
            path = self._find()
            if path is not None and path.exists():
                with _locked(path) as file:
                    lines = _read(file)
                    # Only what is kept is decoded: the file may be anybody's, and of any length.
                    overfull = len(lines) > self._cap + self._cap // 10
                    entries = _entries(lines[-self._cap :] if overfull else lines)
                    if overfull:
                        replace_file(path.resolve(), b"".join(map(_line, entries)))
        self._last = entries[-1] if entries else None
        return reversed(entries)

    def store_string(self, string: str) -> None:
        """Write a line to the file without its secrets, unless it repeats the one before or begins with a blank."""
        from rpcshell.line.masking import Known, mask_line

        entry = mask_line(string, Known() if self._known is None else self._known())
        if self._broken or entry == self._last or string[:1].isspace():
            return
        with self._problems_told():
            path = self._find()
            if path is None:
                return
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(path) as file:
                os.write(file, _after_damage(file) + _line(entry))
            self._last = entry

    def _find(self) -> Path | None:
        if callable(self._path):
            self._path = self._path()
        return self._path

    @contextmanager
    def _problems_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._broken:
                self._broken = True
                place = f": {error.filename}" if error.filename else ""
                self._on_problem(f"the history is not kept: {error.strerror}{place}")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The history file, private and locked against other shells, opened to read and append."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            # Another shell may have put a shorter file in its place while this one waited.
            if _is_at(status, path):
                if stat.S_IMODE(status.st_mode) != _MODE:
                    os.fchmod(file, _MODE)
                yield file
                return
        finally:
            os.close(file)


def _is_at(status: os.stat_result, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(status, path.stat())
    return False


def _read(file: int) -> list[bytes]:
    with os.fdopen(file, "rb", closefd=False) as stream:
        return stream.read().splitlines()


def _after_damage(file: int) -> bytes:
    """A newline, where a full disk or a crash has left the last line of the file without one."""
    size = os.fstat(file).st_size
    return b"\n" if size and os.pread(file, 1, size - 1) != b"\n" else b""


def _line(entry: str) -> bytes:
    # The first prompt comes before what was typed in earlier sessions.
    import json

    return json.dumps(entry).encode() + b"\n"


def _entries(lines: Iterable[bytes]) -> list[str]:
    """The entries of lines, without those that repeat the one before."""
    entries = (entry for line in lines if (entry := _decoded(line)) is not None)
    return [entry for entry, _ in groupby(entries)]


def _decoded(line: bytes) -> str | None:
    import json

    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, str) and entry.strip() else None
