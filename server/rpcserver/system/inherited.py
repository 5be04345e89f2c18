"""What a process is started with, and may not have: standard streams, a folder, descriptors for all that it opens."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path
from typing import Final

_STANDARD_ERROR: Final = 2
_SPARE_DESCRIPTORS: Final = 64


def fill_standard_descriptors() -> None:
    """Have /dev/null in place of standard streams that are closed: a listener would else become one of them."""
    opened = os.open(os.devnull, os.O_RDWR)
    while opened <= _STANDARD_ERROR:
        os.set_inheritable(opened, True)
        opened = os.open(os.devnull, os.O_RDWR)
    os.close(opened)


def open_standard_streams() -> None:
    """Have streams on the standard descriptors where Python made none, since these were closed."""
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = sys.stderr or open(_STANDARD_ERROR, "w", closefd=False)  # noqa: SIM115 - as above


def named_folder() -> Path:
    """The current folder by the name that the shell has for it, which links may lead elsewhere one day.

    The system itself knows the folder only, and goes on with it when a release link names another one. A folder that is
    no more has no name but `.`.
    """
    named = Path(os.environ.get("PWD", ""))
    with contextlib.suppress(OSError):
        return named if named.is_absolute() and named.samefile(".") else Path.cwd()
    return Path()


def allow_descriptors(more: int) -> int:
    """Raise this process's limit of open files (getrlimit(2)) as far as it may be, for that many more.

    Returns how many more there may be.
    """
    try:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number is wanted
    except OSError:
        # No descriptor is left, or there is no proc(5): the least that is free has as many below it.
        try:
            used = os.dup(_STANDARD_ERROR)
            os.close(used)
        except OSError:
            used = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = used + more + _SPARE_DESCRIPTORS
    if soft == resource.RLIM_INFINITY:
        return more
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft - used
