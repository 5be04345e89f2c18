"""A varlink service of the Python package, where the extra `peers` is installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import peers
from tests.rpcshell.activation import listening, running

__all__ = ["DEFINITION", "music", "needs_varlink"]

FOLDER = Path(peers.__file__).parent
DEFINITION = (FOLDER / "org.example.music.varlink").read_text()

needs_varlink = pytest.mark.skipif(
    importlib.util.find_spec("varlink") is None, reason="the extra `peers` is not installed"
)


@contextmanager
def music() -> Iterator[str]:
    """A service that plays music; its target."""
    with listening() as (listener, path):
        activated = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$1" 3<&0 0</dev/null'
        server = FOLDER / "varlink_server.py"
        with running("sh", "-c", activated, sys.executable, str(server), listener=listener):
            yield f"varlink:unix:{path}"
