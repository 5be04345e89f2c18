"""Programs of others that are given a socket which listens before they have started, as systemd does it."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["listening", "running"]


@contextmanager
def listening() -> Iterator[tuple[socket.socket, Path]]:
    """A socket that listens before who serves it has started, and its path, which is short."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "s")
        listener.bind(str(path))
        listener.listen()
        yield listener, path


@contextmanager
def running(*argv: str, listener: socket.socket) -> Iterator[None]:
    """A program that has the socket as its standard input, while it is needed."""
    process = subprocess.Popen(argv, stdin=listener.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        # A guest agent that is asked to end in the moment a client leaves may stay for ever.
        process.kill()
        process.wait()
