"""Where the shell keeps its files: the platform's folders, made when first needed and closed to others.

What is in the files is the business of whoever reads or writes them.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs

__all__ = ["config_file", "history_file", "state_folder"]


def config_file() -> Path:
    """Where the configuration is looked for unless told otherwise; nothing is made."""
    return Path(platformdirs.user_config_dir("rpcshell", appauthor=False)) / "config.toml"


def history_file() -> Path:
    """Where the history of the prompt is kept unless told otherwise; nothing is made."""
    return Path(platformdirs.user_state_dir("rpcshell", appauthor=False)) / "history"


def state_folder(*parts: str) -> Path:
    """The folder for what the shell remembers between runs, made if it is not there (mode 0700).

    Raises:
        OSError: It cannot be made.
    """
    folder = Path(platformdirs.user_state_dir("rpcshell", appauthor=False))
    # Of the folders that `parents` makes only the last one would get the mode.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in parts:
        folder /= part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
