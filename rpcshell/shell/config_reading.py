"""Finds the file of the configuration, and reads it. What its text says is `rpcshell.shell.config_text`'s business.

Nothing is imported to read a file that is not there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from rpcshell.servers.folders import config_file, user_path
from rpcshell.shell.config import Config, ConfigProblem

if TYPE_CHECKING:
    from pathlib import Path

_VARIABLE: Final = "RPCSHELL_CONFIG"
"""The environment variable that says where the file is; empty for none."""

_PIECE: Final = 1 << 16


def load_config(path: Path | str | None = None) -> Config:
    """Read the configuration from where it is said, or else from where `RPCSHELL_CONFIG` or the platform says.

    Raises:
        ConfigProblem: The file cannot be read, or what it says makes no sense.
    """
    given = os.environ.get(_VARIABLE) if path is None else str(path)
    if given == "":
        return Config()
    try:
        file = config_file() if given is None else user_path(given)
    except OSError:
        # Without a home there is no configuration in it.
        return Config()
    try:
        text = _contents(file).decode("utf-8-sig")
    except FileNotFoundError:
        if given is None:
            return Config(path=file)
        raise ConfigProblem(file, "there is no such file") from None
    except OSError as error:
        raise ConfigProblem(file, f"it cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigProblem(file, "it is not UTF-8", line=line) from None
    from rpcshell.shell.config_text import parse_config

    return parse_config(file, text)


def _contents(file: Path) -> bytes:
    """What is in a file, or comes out of a pipe; one that nobody writes to would be waited for without end."""
    if not file.is_fifo():
        return file.read_bytes()
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
        begin = pipe.read(_PIECE)
        if begin == b"":
            raise ConfigProblem(file, "it is a pipe, and nobody writes to it")
        os.set_blocking(pipe.fileno(), True)
        return (begin or b"") + pipe.readall()


def usable_config(path: Path | str | None = None) -> Config:
    """The configuration; a problem of the usual file is in an empty one, and one of the file of `path` is raised."""
    try:
        config = load_config(path)
    except ConfigProblem as error:
        config = Config(problems=(error,))
    if path is not None and config.problems:
        raise config.problems[0]
    return config
