"""The entry point of the `rpcshell` command; what it does is in `rpcshell.app.program`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Final

_COLLECTIONS: Final = (50_000, 50, 100)
"""Thresholds of the garbage collector: with its own, a large reply takes three times as long to decode."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code. They are the process's own, if none are given."""
    if arguments is None and sys.getfilesystemencoding() == "ascii":
        # PYTHONUTF8=0 where the locale knows no letters: what is typed, shown or named here is UTF-8 all the same.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
    # Before anything is imported: modules are no garbage, and looking for some takes longer than a call.
    gc.set_threshold(*_COLLECTIONS)
    # An interrupt inside of a library's own start may crash it, as it does msgspec's.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        from rpcshell.app.program import run

        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except KeyboardInterrupt:
        # What says it elsewhere is not there yet.
        sys.stderr.write("rpcshell: interrupted\n")
        return 130
    return run(arguments)
