"""Where the shell keeps its files, and how it writes one: the platform's folders, made when first needed and closed to
others.

What is in the files is the business of whoever reads or writes them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

import msgspec

_T = TypeVar("_T")


def user_path(text: str) -> Path:
    """A path as a user writes it: a tilde stands for a home, or, where there is none, for itself."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser fails where there is no home


def config_file() -> Path:
    """Where the configuration is looked for unless told otherwise; raises `OSError` where there is no home."""
    return _of_this_user("config") / "config.toml"


def history_file() -> Path:
    """Where the history of the prompt is kept unless told otherwise; raises `OSError` where there is no home."""
    return _of_this_user("state") / "history"


def state_folder(*parts: str) -> Path:
    """The folder for what the shell remembers between runs, made if it is not there (mode 0700).

    Raises:
        OSError: It cannot be made.
    """
    folder = _of_this_user("state")
    # Of the folders that `parents` makes only the last one would get the mode.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in parts:
        folder /= part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put data in the place of a file at once, with a mode (chmod(2)): others read the old one or the new one.

    The file need not be there, its folder is. Where two shells write, the last one's stays. A link is replaced, and
    nothing written where it leads.

    Raises:
        OSError: It cannot be written; the old one stays.
    """
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


class StateFile(Generic[_T]):
    """A file of JSON in a folder for what is remembered between runs, of so many bytes at most.

    It is a convenience: a damaged, unreadable or unwritable one means that nothing is remembered, never an error.
    """

    def __init__(self, folder: Callable[[], Path], name: str, kind: type[_T], *, most: int) -> None:
        self._folder = folder
        self._name: Final = name
        self._kind: Final = kind
        self._most: Final = most

    def read(self) -> _T | None:
        """What is in it, if anything is."""
        try:
            # A pipe in its place would have its opening wait for a writer.
            with os.fdopen(os.open(self._folder() / self._name, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                data = file.read(self._most + 1)
            return msgspec.json.decode(data, type=self._kind) if len(data) <= self._most else None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def write(self, content: _T) -> None:
        """Put something in its place."""
        with contextlib.suppress(OSError):
            replace_file(self._folder() / self._name, msgspec.json.encode(content))


def _of_this_user(kind: Literal["config", "state"]) -> Path:
    found = Path(_linux_folder(kind) if sys.platform == "linux" else _other_folder(kind))
    if not found.is_absolute():
        raise FileNotFoundError(errno.ENOENT, "this user has no home, and HOME is not set")
    return found


def _linux_folder(kind: Literal["config", "state"]) -> str:
    """As the XDG Base Directory Specification has it; platformdirs, which does too, takes long to import."""
    variable, usual = {"config": ("XDG_CONFIG_HOME", "~/.config"), "state": ("XDG_STATE_HOME", "~/.local/state")}[kind]
    named = os.environ.get(variable, "")
    # One that is not absolute is to be ignored.
    return os.path.join(named if os.path.isabs(named) else os.path.expanduser(usual), "rpcshell")  # noqa: PTH111, PTH117, PTH118


def _other_folder(kind: Literal["config", "state"]) -> str:
    import platformdirs

    folder = {"config": platformdirs.user_config_dir, "state": platformdirs.user_state_dir}[kind]
    try:
        return folder("rpcshell", appauthor=False)
    except RuntimeError:
        return "~"
