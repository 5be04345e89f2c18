"""Reaching the prompt's event loop from threads and signal handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.application import Application

__all__ = ["call_in_loop"]


def call_in_loop(application: Application[Any], callback: Callable[[], object]) -> bool:
    """Have something called in the event loop of a prompt; any thread may call this.

    The prompt may end before its loop comes to it, so nothing must depend on the callback alone.

    Args:
        application: the prompt.
        callback: what to call.

    Returns:
        Whether there is a loop to call it in: none is left once a line was read.
    """
    loop = application.loop
    if loop is None or not application.is_running:
        return False
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        # The loop was closed since it was looked at.
        return False
    return True
