"""Processes that are not children of the tests."""

import os
import select

from tests.rpcshell.peers import DEADLINE


def ended(pid: int) -> bool:
    """Wait for the end of a process that is not a child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], DEADLINE)[0])
    finally:
        os.close(descriptor)
