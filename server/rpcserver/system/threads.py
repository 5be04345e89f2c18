"""Starting threads where the system may have none left.

What is done instead is the caller's business.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rpcserver.system.errors import ServerError
from rpcserver.system.process import NO_MORE_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable


class NoThread(ServerError):
    """The system has no thread left."""

    def __str__(self) -> str:
        return f"no thread can be started: {NO_MORE_PROCESSES}"


def start_thread(run: Callable[[], object], name: str) -> threading.Thread:
    """Start a thread that ends with its process.

    Raises:
        NoThread: there is none left.
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThread from error
    return thread
