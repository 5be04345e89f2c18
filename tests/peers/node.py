"""Packages of npm that tests talk to, where somebody has installed them and said where."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers import PATIENCE

__all__ = ["module", "needs_package", "program", "run_script"]

VARIABLE = "RPCSHELL_NODE_MODULES"
FOLDER = Path(os.environ.get(VARIABLE) or "/nonexistent")


def needs_package(name: str) -> pytest.MarkDecorator:
    """Skips a test where node, or a package, is missing."""
    if shutil.which("node") is None:
        return pytest.mark.skip(reason="there is no node")
    return pytest.mark.skipif(not (FOLDER / name).exists(), reason=f"{VARIABLE} names no folder with {name}")


def program(name: str) -> str | None:
    """Where a program of those packages is, or None."""
    return shutil.which(name, path=os.pathsep.join([str(FOLDER / ".bin"), os.environ.get("PATH", "")]))


def module(name: str, folder: Path) -> Path:
    """A module beside this one, in a folder from which it finds those packages."""
    (folder / "node_modules").symlink_to(FOLDER.absolute())
    return Path(shutil.copy(Path(__file__).with_name(name), folder))


def run_script(text: str, *arguments: str) -> Any:
    """What a script of JavaScript prints, as JSON."""
    done = subprocess.run(
        ["node", "-e", text, *arguments],
        env={**os.environ, "NODE_PATH": str(FOLDER)},
        capture_output=True,
        timeout=PATIENCE * 3,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)
