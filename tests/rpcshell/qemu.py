"""QEMU's monitor and its guest agent, the real ones, where they are installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["guest_agent", "monitor", "needs_guest_agent", "needs_qemu"]

QEMU = "qemu-system-x86_64"
AGENT = "qemu-ga"

needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"there is no {QEMU}")
needs_guest_agent = pytest.mark.skipif(shutil.which(AGENT) is None, reason=f"there is no {AGENT}")


@contextmanager
def monitor() -> Iterator[str]:
    """A machine without anything in it, stopped; the target of its monitor."""
    with _listening() as (listener, path):
        chardev = "socket,id=m,fd=0,server=on,wait=off"
        machine = ["-M", "none", "-display", "none", "-nodefaults", "-S", "-mon", "m,mode=control"]
        with _running(QEMU, *machine, "-chardev", chardev, listener=listener):
            yield f"qmp:unix:{path}"


@contextmanager
def guest_agent() -> Iterator[str]:
    """An agent; its target."""
    with _listening() as (listener, path):
        # It takes a socket as systemd gives one: as the descriptor 3 of a process that the environment names.
        agent = f"{AGENT} -m unix-listen -t {path.parent}"
        activated = f"LISTEN_FDS=1 LISTEN_PID=$$ exec {agent} 3<&0 0</dev/null"
        with _running("sh", "-c", activated, listener=listener):
            yield f"qga:unix:{path}"


@contextmanager
def _listening() -> Iterator[tuple[socket.socket, Path]]:
    """A socket that listens before who serves it has started, and its path, which is short."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "s")
        listener.bind(str(path))
        listener.listen()
        yield listener, path


@contextmanager
def _running(*argv: str, listener: socket.socket) -> Iterator[None]:
    process = subprocess.Popen(argv, stdin=listener.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
