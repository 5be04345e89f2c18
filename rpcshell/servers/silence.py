"""What is said of servers of this user that tell nothing, mostly because their arbiter was stopped by a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from rpcshell.servers.directory import SilentServer


def stands_still(pid: int) -> str:
    """What is said of a server whose arbiter is stopped, to follow its name."""
    return f"stands still: its process {pid} is stopped"


def go_on(pid: int) -> str:
    """What can be done about it."""
    return f"kill -CONT {pid} has it go on"


def silence(server: SilentServer) -> str:
    """What is said of a server that tells nothing, to follow its name."""
    return stands_still(server.pid) if server.stopped else f"does not say what it is: its process is {server.pid}"


def refusal(name: object, server: SilentServer) -> UsageError:
    """The error where such a server was to be watched or steered."""
    return UsageError(f"{name} {silence(server)}", hint=go_on(server.pid) if server.stopped else None)
