"""Starting threads where the system may have none left.

What is done instead is the caller's business.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from rpcserver.system.errors import ServerError
from rpcserver.system.process import NO_MORE_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable


logger = logging.getLogger(__name__)


class NoThread(ServerError):
    """The system has no thread left."""

    def __str__(self) -> str:
        return f"no thread can be started: {NO_MORE_PROCESSES}"


class ServerThread(threading.Thread):
    """A thread of the server's own, which ends with its process; one that is told to end by os._exit waits for none.

    Those in which handlers run are no daemons for the threads' sake that are started there, which inherit it.
    """


def start_thread(run: Callable[[], object], name: str, *, daemon: bool = True) -> threading.Thread:
    """Start a thread of the server's own; raises NoThread where there is none left."""
    thread = ServerThread(target=run, name=name, daemon=daemon)
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThread from error
    return thread


def note_thrown() -> None:
    """Log the exception being handled: the app had it thrown into a thread, and it came when the call was over."""
    logger.critical("an exception came to a thread between two calls, and it goes on", exc_info=True)
