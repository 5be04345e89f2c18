"""The guard around each line of a prompt or a script: what nobody foresaw is told in one line and ends nothing.

Python's own traceback would do neither, and may hold escape sequences of a server.
"""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ShellError, Unexpected
from rpcshell.shell.session import Leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TERMINAL_GONE: Final = (errno.EIO, errno.ENXIO, errno.EPIPE, errno.EBADF)
"""What reading or writing fails with once the terminal has been closed; nobody is there to be told."""


@contextmanager
def foreseen(*meant: type[Exception], debug: bool) -> Iterator[None]:
    """Make an `Unexpected` of every exception but the shell's own, those that are `meant`, and a terminal's end."""
    try:
        yield
    except (ShellError, Leave):
        raise
    except meant:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in TERMINAL_GONE:
            raise
        raise Unexpected(error, debug=debug) from error


@contextmanager
def threads_told(tell: Callable[[Unexpected], object], *, debug: bool) -> Iterator[None]:
    """Have what ends a thread told as an `Unexpected`."""

    def hook(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None:
            tell(Unexpected(failure.exc_value, debug=debug))

    before, threading.excepthook = threading.excepthook, hook
    try:
        yield
    finally:
        threading.excepthook = before
