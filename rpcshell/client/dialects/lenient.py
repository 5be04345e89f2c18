"""What a server says may have any form: members read as what they should be, and as nothing where they are not that."""

from __future__ import annotations

from typing import Any

__all__ = ["as_list", "as_mapping", "as_text"]


def as_mapping(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """A text, or an empty one."""
    return value if isinstance(value, str) else ""
