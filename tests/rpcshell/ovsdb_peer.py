"""Open vSwitch's database server, the real one, where it is installed, with a switch that has nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["Database", "database", "needs_ovsdb"]

SERVER = shutil.which("ovsdb-server", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
TOOL = shutil.which("ovsdb-tool")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")

needs_ovsdb = pytest.mark.skipif(
    SERVER is None or TOOL is None or not SCHEMA.exists(), reason="there is no ovsdb-server with the schema of a switch"
)


class Database(NamedTuple):
    """Its targets."""

    unix: str
    tcp: str


@contextmanager
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as folder:
        assert TOOL is not None
        assert SERVER is not None
        subprocess.run([TOOL, "create", f"{folder}/db", SCHEMA], check=True)
        begin = ["Open_vSwitch", {"op": "insert", "table": "Open_vSwitch", "row": {}}]
        subprocess.run([TOOL, "transact", f"{folder}/db", json.dumps(begin)], check=True, stdout=subprocess.DEVNULL)
        argv = [SERVER, f"{folder}/db", f"--remote=punix:{folder}/s", "--remote=ptcp:0:127.0.0.1"]
        argv += [f"--unixctl={folder}/ctl", "--verbose=console:info", "--no-chdir"]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                port = ""
                for line in process.stderr:
                    _, listens, told = line.partition("listening on port ")
                    port = told.strip() if listens else port
                    if "|ovsdb_server|INFO|ovsdb-server" in line:
                        break
                yield Database(f"ovsdb:unix:{folder}/s", f"ovsdb:127.0.0.1:{port}")
            finally:
                process.terminate()
