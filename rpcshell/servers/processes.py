"""What proc(5) tells of a server's processes: who they are, what they use, and which has its end of a connection.

Nobody is asked, and nothing is disturbed. Elsewhere than on Linux nothing is known.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.socket_owners import has_socket, inode_of, listening_process, process_with, unix_listening_inodes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcshell.client.trace import Ends

_STOPPED: Final = {"T", "t"}


class ServerEnd(msgspec.Struct, frozen=True):
    """Where the server's end of a connection is: waiting to be accepted, or in a process of those asked about."""

    queued: bool
    pid: int | None = None


def find_server_end(ends: Ends, pids: Iterable[int]) -> ServerEnd | None:
    """Where the other end of a connection is, if in the listen queue or one of these processes.

    None where that cannot be told, as for Unix sockets, which proc(5) does not pair.
    """
    if (inode := inode_of(ends)) is None:
        return None
    if inode == "0":
        return ServerEnd(queued=True)
    for pid in pids:
        # Some models have a process of their own for each connection.
        for process in (pid, *children_of(pid)):
            if has_socket(process, inode):
                return ServerEnd(queued=False, pid=pid)
    return None


def stat_fields(pid: int) -> list[str]:
    """What proc(5) tells of a process in `stat`, from its state on; raises `OSError` where it has gone."""
    # The name before it may have blanks and brackets in it.
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()


def process_state(pid: int) -> str:
    """The state of a process as proc(5) tells it, such as `S` or, where it is stopped, `T`; empty if it has gone."""
    try:
        return stat_fields(pid)[0]
    except (OSError, IndexError):
        return ""


def is_stopped(pid: int) -> bool:
    """Whether a process stands still until it is told to go on (SIGSTOP, or a debugger)."""
    return process_state(pid) in _STOPPED


def listener_at(path: str) -> int | None:
    """The process of this user's that listens at a Unix socket, if it is known."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
            pid, user = listening_process(probe) or (0, -1)
        except BlockingIOError:
            # Its queue is full, as that of one which stands still is once it was asked often enough.
            return _holder_of(path)
        except OSError:
            return None
    return pid if user == os.geteuid() else None


def _holder_of(path: str) -> int | None:
    try:
        pid = process_with(unix_listening_inodes(path))
        return pid if pid is not None and Path(f"/proc/{pid}").stat().st_uid == os.geteuid() else None
    except OSError:
        return None


def children_of(pid: int) -> list[int]:
    """The processes that a process has forked, as far as they are still its own; none if it has gone."""
    found: list[int] = []
    # What fails has just ended, or the kernel does not tell.
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def processes_under(pid: int) -> list[int]:
    """A process and all that descend from it, as far as they still do."""
    found = [pid]
    for parent in found:
        found += children_of(parent)
    return found


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process and of its children that have ended; 0 where it has gone.

    A child's time goes to its parent when that waits for it (cutime in proc(5)): summed over a tree of processes,
    nothing that came and went is missed.
    """
    try:
        # utime, stime, cutime and cstime.
        times = stat_fields(pid)[11:15]
    except OSError:
        return 0.0
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def memory_under(pid: int) -> int | None:
    """`proportional_memory` of a process and all that descend from it, in which what they share is counted once."""
    memory = [proportional_memory(one) for one in processes_under(pid)]
    return None if None in memory else sum(size or 0 for size in memory)


def proportional_memory(pid: int) -> int | None:
    """Bytes of memory of a process, its part of what it shares (PSS); None where that is not told."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0 if not Path(f"/proc/{pid}").exists() else None
    except OSError:
        return None
    found = next((line.split() for line in text.splitlines() if line.startswith("Pss:")), None)
    return None if found is None else int(found[1]) * 1024
