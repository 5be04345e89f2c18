"""Watching and steering servers of one's own on this machine, by their control sockets."""

from rpcshell.supervision.control import Control, Signalled
from rpcshell.supervision.directory import LocalServer, local_servers
from rpcshell.supervision.status import ServerStatus, WorkerStatus
from rpcshell.supervision.supervisor import Supervisor

__all__ = ["Control", "LocalServer", "ServerStatus", "Signalled", "Supervisor", "WorkerStatus", "local_servers"]
