"""This user's servers that were started here a moment ago and may not listen yet, found by proc(5) on Linux."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from rpcshell.client.socket_owners import command_of, runs_rpcserver
from rpcshell.client.target import TcpTarget, TlsTarget, UnixTarget
from rpcshell.servers.listeners import is_on_this_machine
from rpcshell.servers.processes import children_of, stat_fields

PATIENCE: Final = 5.0
"""Seconds that a server may take until it listens, on a machine that has much to do."""

_PARENT, _BEGAN = 1, 19
"""Among `stat_fields`: the parent, and when it began, in ticks since the machine was started."""


def just_started(target: object) -> list[int]:
    """The processes of servers that may come to listen at a target; none where that is on another machine."""
    if not isinstance(target, TcpTarget | TlsTarget | UnixTarget) or not is_on_this_machine(target):
        return []
    return [pid for process in Path("/proc").glob("[1-9]*") if _is_just_started(pid := int(process.name))]


def all_listen(servers: list[int]) -> bool:
    """Whether all of these servers listen by now; a server listens before it starts workers."""
    return all(map(children_of, servers))


def _is_just_started(pid: int) -> bool:
    try:
        command = command_of(pid)
        if not runs_rpcserver(command) or Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
            return False
        fields = stat_fields(pid)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_BEGAN]) / os.sysconf("SC_CLK_TCK")
        # A worker has the command line of its parent.
        return age < PATIENCE and command_of(int(fields[_PARENT])) != command
    except (OSError, IndexError):
        return False
