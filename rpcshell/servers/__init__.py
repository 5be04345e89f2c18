"""Watching and steering servers of one's own on this machine, by their control sockets."""

from rpcshell.servers.control import Control, Signalled
from rpcshell.servers.directory import LocalServer, local_servers
from rpcshell.servers.status import ServerStatus, WorkerStatus

__all__ = ["Control", "LocalServer", "ServerStatus", "Signalled", "WorkerStatus", "local_servers"]
