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
from hypothesis import strategies as st

from rpcshell import Envelope
from rpcshell.client.dialects.message_shapes import STANDING
from rpcshell.shell.config_reference import DIALECTS
from tests.rpcshell.activation import listening, running

__all__ = ["JSON", "KEA", "SURICATA", "TABLES", "WATCHMAN", "kea", "needs_kea", "needs_watchman", "watchman"]

KEA, SURICATA, WATCHMAN = (Envelope.from_table(DIALECTS[name][1]) for name in ("kea", "suricata", "watchman"))

# Users have no folders of the system's programs in their path.
_KEA = shutil.which("kea-dhcp4", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_WATCHMAN = shutil.which("watchman")

needs_kea = pytest.mark.skipif(_KEA is None, reason="there is no kea-dhcp4")
needs_watchman = pytest.mark.skipif(_WATCHMAN is None, reason="there is no watchman")


KEYS = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(KEYS | st.sampled_from(["0", "1"]), max_size=3).map(".".join)
JSON = st.recursive(
    st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "$$x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TEMPLATES = st.recursive(
    JSON | st.sampled_from([*STANDING, "$other"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.just("$method"), inner, max_size=3),
    max_leaves=8,
)
_REPLY = {
    "ok": st.dictionaries(PATHS, JSON, max_size=2),
    "result": PATHS | st.lists(PATHS, max_size=2),
    "error": PATHS,
    "code": PATHS,
    "more": PATHS,
}
_BESIDE = {
    "no-params": JSON,
    "event": st.fixed_dictionaries({"key": PATHS}, optional={"name": PATHS, "params": PATHS})
    | st.fixed_dictionaries({"has": st.dictionaries(PATHS, JSON, min_size=1, max_size=2)}),
    "names": st.lists(KEYS) | st.fixed_dictionaries({"method": KEYS}, optional={"path": PATHS, "prefix": KEYS}),
}
ANY_TABLES = st.fixed_dictionaries(
    {"request": TEMPLATES},
    optional={
        **_BESIDE,
        "reply": st.fixed_dictionaries({}, optional={**_REPLY, "id": PATHS}),
        "framing": st.sampled_from(["line", "stream", "nul", "x"]),
        "hello": JSON,
        "hello-reply": st.booleans(),
        "greets": st.booleans(),
        "one-call": st.booleans(),
        "pipelined": st.booleans(),
        "other": JSON,
    },
)
"""Tables of dialects, most of which make no sense."""

SOUND_TABLES = st.fixed_dictionaries(
    {"request": st.sampled_from([{"a": "$method", "b": "$params"}, ["$method", "$params"]])},
    optional={**_BESIDE, "reply": st.fixed_dictionaries({}, optional=_REPLY)},
) | st.fixed_dictionaries(
    {
        "request": st.just({"a": "$method", "b": "$id"}),
        "reply": st.fixed_dictionaries({"id": KEYS}, optional=_REPLY),
    },
    optional=_BESIDE,
)
"""Such as make sense, nearly all of them."""

TABLES = SOUND_TABLES | ANY_TABLES


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
                assert any("DHCP4_STARTED" in line for line in process.stdout)
                yield f"unix:{path}"
            finally:
                process.terminate()


@contextmanager
def watchman() -> Iterator[str]:
    """A service; the address of its socket."""
    assert _WATCHMAN is not None
    with listening() as (listener, path):
        kept = ("--sockname", str(path), "--logfile", f"{path}.log", "--pidfile", f"{path}.pid", "--no-save-state")
        with running(_WATCHMAN, "--inetd", "--foreground", *kept, listener=listener):
            yield f"unix:{path}"
