"""Servers of this user that tell nothing, because their arbiter was stopped by a signal. Found by proc(5), on Linux."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcshell.client.socket_owners import has_socket, listening_inodes
from rpcshell.client.target import TcpTarget, TlsTarget, UnixTarget
from rpcshell.servers.directory import control_folders, ips_of, is_on_this_machine
from rpcshell.servers.processes import children_of, is_stopped, listener_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.client.target import Target


def stands_still(pid: int) -> str:
    """What is said of a server whose arbiter is stopped, to follow its name."""
    return f"stands still: its process {pid} is stopped"


def go_on(pid: int) -> str:
    """What can be done about it."""
    return f"kill -CONT {pid} has it go on"


def stopped_arbiters() -> Iterator[int]:
    """The processes of this user's arbiters on this machine that are stopped."""
    for folder in control_folders():
        for path in folder.glob("*.sock"):
            pid = listener_at(str(path))
            if pid is not None and is_stopped(pid):
                yield pid


def stopped_at(targets: Iterable[Target]) -> dict[Target, int]:
    """Which of these targets lead to servers of this user whose arbiter is stopped, and its process."""
    pids = list(stopped_arbiters())
    found = {target: next((pid for pid in pids if _listens(pid, target)), None) for target in targets} if pids else {}
    return {target: pid for target, pid in found.items() if pid is not None}


def _listens(pid: int, target: Target) -> bool:
    if isinstance(target, UnixTarget):
        return listener_at(target.name) == pid
    address = target.address if isinstance(target, TlsTarget) else target
    if not isinstance(address, TcpTarget) or not is_on_this_machine(address):
        return False
    inodes = listening_inodes(map(str, ips_of(address)), address.port)
    return any(has_socket(process, inode) for process in (pid, *children_of(pid)) for inode in inodes)
