"""Threads for what can also be done without one, where the system has any left."""

from __future__ import annotations

import threading
from collections.abc import Callable


def thread_for(run: Callable[[], object], name: str) -> threading.Thread | None:
    """A thread that runs this and ends with the process, or None where the limits of processes allow no more.

    They are RLIMIT_NPROC (getrlimit(2)) and pids.max of a control group (cgroups(7)).
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
