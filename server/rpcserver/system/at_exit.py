"""What an interpreter does as it ends, for processes that end by os._exit: exit functions, logging's end, flushes."""

from __future__ import annotations

import atexit
import gc
import io
import logging
import weakref
from typing import TYPE_CHECKING, Final

from rpcserver.system.errors import QuickStop

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

# What all files are made of. It is in C, and so asks nothing of objects that stand for others.
_FILE: Final[type] = io.IOBase.mro()[1]


class AtExit:
    """What a forked process has to do at its end. Made first of all there, for its parent's exit functions are not its.

    Args:
        parent: whose files it writes to as well; there are none otherwise.
    """

    def __init__(self, parent: AtExit | None = None) -> None:
        self._files: list[weakref.ref[io.IOBase]] = [] if parent is None else list(parent._files)
        atexit._clear()
        atexit.register(logging.shutdown)

    def note_files(self) -> None:
        """Note the files that are open, before `gc.freeze` hides them, and flush them, so that children need not."""
        self._files += [weakref.ref(file) for file in _young_files()]
        for reference in self._files:
            file = reference()
            try:
                if file is not None and not file.closed:
                    file.flush()
            except QuickStop:
                raise
            except BaseException:
                # An app may call anything a file, and a disk may be full.
                logger.debug("%r cannot be flushed", file, exc_info=True)

    def run(self) -> None:
        """Call the exit functions, and write what is buffered for files that are still open."""
        atexit._run_exitfuncs()
        self.note_files()


def _young_files() -> Iterator[io.IOBase]:
    return (found for found in gc.get_objects() if issubclass(type(found), _FILE))
