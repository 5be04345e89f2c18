"""The guides: pages in Markdown that are read on the web as files, and in the shell by `:help GUIDE`.

Beside some pages stand the files that they show. How a page looks on a terminal is not here.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

__all__ = ["GUIDES", "read_guide"]

GUIDES: Final = {
    "tour": "from the first call to why one hangs, on the demo",
    "language": "lines, keys, commands, scripts, exit codes",
    "server": "models, signals, TLS, limits, health, operations",
    "api": "services, tests and clients, with an example each",
    "protocol": "frames, errors, JSON-RPC 2.0",
    "dialects": "servers that speak something else: MCP, LSP, QEMU and others",
    "own-dialect": "a dialect of your own, in one class",
    "fleet": "several servers as one",
    "zookeeper": "servers that register, and rolling deploys",
    "haproxy": "behind HAProxy",
    "kubernetes": "in Kubernetes",
    "systemd": "under systemd",
    "prometheus": "watched by Prometheus",
    "benchmarks": "what was measured, and how to measure it again",
}
"""What each is about, by its name."""

_ABOUT_A_DEPLOYMENT: Final = frozenset({"haproxy", "kubernetes", "prometheus", "systemd", "zookeeper"})


def read_guide(name: str) -> str:
    """The Markdown of a guide.

    Raises:
        KeyError: There is none of that name.
    """
    if name not in GUIDES:
        raise KeyError(name)
    folder = "deploy/" if name in _ABOUT_A_DEPLOYMENT else ""
    return files(__name__).joinpath(f"{folder}{name}.md").read_text("utf-8")
