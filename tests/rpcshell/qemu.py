"""QEMU's monitor and its guest agent, the real ones, where they are installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.rpcshell.activation import listening, running

__all__ = ["guest_agent", "monitor", "needs_guest_agent", "needs_qemu"]

QEMU = "qemu-system-x86_64"
AGENT = "qemu-ga"

needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"there is no {QEMU}")
needs_guest_agent = pytest.mark.skipif(shutil.which(AGENT) is None, reason=f"there is no {AGENT}")


@contextmanager
def monitor() -> Iterator[str]:
    """A machine without anything in it, stopped; the target of its monitor."""
    with listening() as (listener, path):
        chardev = "socket,id=m,fd=0,server=on,wait=off"
        machine = ["-M", "none", "-display", "none", "-nodefaults", "-S", "-mon", "m,mode=control"]
        with running(QEMU, *machine, "-chardev", chardev, listener=listener):
            yield f"qmp:unix:{path}"


@contextmanager
def guest_agent() -> Iterator[str]:
    """An agent; its target."""
    with listening() as (listener, path):
        # It takes a socket as systemd gives one: as the descriptor 3 of a process that the environment names.
        agent = f"{AGENT} -m unix-listen -t {path.parent}"
        activated = f"LISTEN_FDS=1 LISTEN_PID=$$ exec {agent} 3<&0 0</dev/null"
        with running("sh", "-c", activated, listener=listener):
            yield f"qga:unix:{path}"
