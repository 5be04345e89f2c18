"""What a server and those who steer it tell each other on its control socket."""

from __future__ import annotations

from typing import Final

__all__ = ["MODELS"]

MODELS: Final = ("sync", "thread", "pool", "fork", "async")
"""The worker models."""
