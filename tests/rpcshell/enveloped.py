"""Servers that have an envelope of their own, the real ones, where they are installed, and the tables for them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpcshell import Envelope
from rpcshell.shell.config_reference import DIALECTS
from tests.rpcshell.activation import listening

__all__ = ["KEA", "SURICATA", "WATCHMAN", "kea", "needs_kea", "needs_watchman", "watchman"]

KEA, SURICATA, WATCHMAN = (Envelope.from_table(DIALECTS[name][1]) for name in ("kea", "suricata", "watchman"))

# Users have no folders of the system's programs in their path.
_KEA = shutil.which("kea-dhcp4", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_WATCHMAN = shutil.which("watchman")

needs_kea = pytest.mark.skipif(_KEA is None, reason="there is no kea-dhcp4")
needs_watchman = pytest.mark.skipif(_WATCHMAN is None, reason="there is no watchman")


@contextmanager
def kea() -> Iterator[str]:
    """A server without any interface or subnet; the address of its control socket."""
    assert _KEA is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s")
        config = {
            "control-socket": {"socket-type": "unix", "socket-name": str(path)},
            "interfaces-config": {"interfaces": []},
            "lease-database": {"type": "memfile", "persist": False},
            "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}],
        }
        Path(folder, "c").write_text(json.dumps({"Dhcp4": config}))
        environment = {**os.environ, "KEA_PIDFILE_DIR": folder, "KEA_LOCKFILE_DIR": "none"}
        argv = (_KEA, "-c", f"{folder}/c")
        with subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                assert any("COMMAND_ACCEPTOR_START" in line for line in process.stdout)
                yield f"unix:{path}"
            finally:
                process.terminate()


@contextmanager
def watchman() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A service; the address of its socket, and its process."""
    assert _WATCHMAN is not None
    with listening() as (listener, path):
        kept = ("--sockname", str(path), "--logfile", f"{path}.log", "--pidfile", f"{path}.pid", "--no-save-state")
        process = subprocess.Popen(
            (_WATCHMAN, "--inetd", "--foreground", *kept),
            stdin=listener.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"unix:{path}", process
        finally:
            # A test may have stopped it.
            process.kill()
            process.wait()
