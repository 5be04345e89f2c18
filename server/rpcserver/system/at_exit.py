"""What an interpreter does as it ends, for processes that end by os._exit: work left, exit functions, flushes."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import logging
import sys
import threading
import weakref
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from rpcserver.system.errors import QuickStop
from rpcserver.system.threads import NoThread, ServerThread, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.process import BaseProcess

logger = logging.getLogger(__name__)

# What all files are made of. It is in C, and so asks nothing of objects that stand for others.
_FILE: Final[type] = io.IOBase.mro()[1]

_LOOK: Final = 0.5
"""Seconds after which it is asked again until when processes may go on, which a signal may have changed."""
_LAST_WORDS: Final = 0.3  # seconds that a process has to end after SIGTERM


class AtExit:
    """What a forked process has to do at its end. Made first of all there, for its parent's exit functions are not its.

    It writes to the files that its parent had noted, too.
    """

    def __init__(self, parent: AtExit | None = None) -> None:
        self._files: list[weakref.ref[io.IOBase]] = [] if parent is None else list(parent._files)
        atexit._clear()
        atexit.register(logging.shutdown)
        _disown_children()

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

    def run(self, leave_by: Callable[[], float], threads_within: float = inf) -> None:
        """Let executors and threads end their work, call the exit functions, and flush files that are still open.

        Args:
            leave_by: until when processes that the app has started with `multiprocessing` may go on, in monotonic
                seconds; an exit function waits for them. Where that is over, nothing else is waited for.
            threads_within: seconds that threads may go on at most.
        """
        _end_children_later(leave_by)
        if monotonic() < leave_by():
            until = monotonic() + threads_within
            _await_threads(_end_executors(), lambda: min(until, leave_by()))
        atexit._run_exitfuncs()
        self.note_files()


def _young_files() -> Iterator[io.IOBase]:
    # No type is hashed either: a metaclass may have a hash of its own, or none.
    return (found for found in gc.get_objects() if issubclass(type(found), _FILE))


def _disown_children() -> None:
    """Have `multiprocessing` see to this process's children at its end, and not to its parent's."""
    if (processes := sys.modules.get("multiprocessing.process")) is not None:
        processes._children.clear()
    if (ends := sys.modules.get("multiprocessing.util")) is not None:
        atexit.register(ends._exit_function)


def _end_executors() -> list[threading.Thread]:
    """Wait for the work of `concurrent.futures`, as `threading` does before the exit functions.

    That may last for ever. So a thread waits, which is returned; this one does only where no other can be started.
    """
    ends = list(reversed(threading._threading_atexits))  # type: ignore[attr-defined]  # not in typeshed
    try:
        return [start_thread(partial(_call_each, ends), "rpcserver-executors")] if ends else []
    except NoThread:
        _call_each(ends)
        return []


def _call_each(ends: Sequence[Callable[[], object]]) -> None:
    for end in ends:
        try:
            end()
        except QuickStop:
            raise
        except BaseException:
            logger.exception("work that was still to do has failed at the end")


def _await_threads(ending: Sequence[threading.Thread], leave_by: Callable[[], float]) -> None:
    """Wait for threads that are no daemons, as `threading` does before the exit functions, while there is time.

    Args:
        ending: wait for others, which may be daemons, and so are waited for themselves.
        leave_by: until when there is time, in monotonic seconds.
    """
    while (threads := [*_plain_threads(), *filter(threading.Thread.is_alive, ending)]) and (
        left := leave_by() - monotonic()
    ) > 0:
        threads[0].join(min(left, _LOOK))
    for thread in _plain_threads():
        logger.warning(
            "thread %s, which the app has started, ends with its process: end it in @service.on_worker_stop",
            thread.name,
        )


def _plain_threads() -> list[threading.Thread]:
    this = threading.current_thread()
    threads = [thread for thread in threading.enumerate() if not isinstance(thread, ServerThread)]
    return [thread for thread in threads if not (thread.daemon or thread is this)]


def _end_children_later(leave_by: Callable[[], float]) -> None:
    """Have a thread see to the processes that the exit functions wait for, but that may not go on for ever."""
    processes = sys.modules.get("multiprocessing.process")
    children = [] if processes is None else [child for child in processes.active_children() if not child.daemon]
    if children:
        with contextlib.suppress(NoThread):
            start_thread(partial(_end_children, children, leave_by), "rpcserver-exit")


def _end_children(children: list[BaseProcess], leave_by: Callable[[], float]) -> None:
    while children and (now := monotonic()) < (until := leave_by()):
        children = _outlasting(children, min(until, now + _LOOK))
    for child in children:
        logger.warning(
            "process %s (%s), which the app has started, is ended with the one that started it: "
            "end it in @service.on_worker_stop",
            child.pid,
            child.name,
        )
        child.terminate()
    for child in _outlasting(children, monotonic() + _LAST_WORDS):
        child.kill()


def _outlasting(children: list[BaseProcess], until: float) -> list[BaseProcess]:
    """Wait for processes to end, and return those that have not by then, in monotonic seconds."""
    from multiprocessing.connection import wait

    while children and (left := until - monotonic()) > 0:
        ended = wait([child.sentinel for child in children], left)
        children = [child for child in children if child.sentinel not in ended]
    return children
