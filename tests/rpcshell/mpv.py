"""mpv without a screen, the real one, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["needs_mpv", "player"]

MPV = "mpv"

needs_mpv = pytest.mark.skipif(shutil.which(MPV) is None, reason=f"there is no {MPV}")


@contextmanager
def player() -> Iterator[str]:
    """A player that plays nothing; the target of its socket."""
    silent = ("--no-config", "--idle", "--vo=null", "--ao=null", "--msg-level=all=no,ipc=v")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        argv = (MPV, *silent, f"--input-ipc-server={path}")
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                assert any("Listening" in line for line in process.stdout)
                yield f"mpv:unix:{path}"
            finally:
                process.terminate()
