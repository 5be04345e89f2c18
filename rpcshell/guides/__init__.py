"""The guides: pages in Markdown that are read on the web as files, and in the shell by `:help GUIDE`.

Beside some pages stand the files that they show. How a page looks on a terminal is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

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

_OF_DEPLOYMENTS: Final = {
    "haproxy": ("haproxy.cfg",),
    "kubernetes": ("kubernetes.yaml",),
    "prometheus": ("prometheus.yml", "grafana.json"),
    "systemd": ("calc.socket", "calc.service"),
    "zookeeper": (),
}
"""The guides to deployments, with the files that they show."""


def read_guide(name: str) -> str:
    """The Markdown of a guide.

    Raises:
        KeyError: There is none of that name.
    """
    if name not in GUIDES:
        raise KeyError(name)
    folder = "deploy/" if name in _OF_DEPLOYMENTS else ""
    return _file(f"{folder}{name}.md").read_text("utf-8")


def guide_files(name: str) -> list[str]:
    """The paths on this machine of the files that a guide shows."""
    return [str(_file(f"deploy/{file}")) for file in _OF_DEPLOYMENTS.get(name, ())]


def read_guide_here(name: str) -> str:
    """The Markdown of a guide for a reader who has no links: at its end, where the files are that it shows.

    Raises:
        KeyError: There is none of that name.
    """
    page, shown = read_guide(name), guide_files(name)
    return "\n".join((page, "## Files", "", "```text", *shown, "```", "")) if shown else page


def _file(path: str) -> Traversable:
    from importlib.resources import files

    return files(__name__).joinpath(path)
