"""Watching and steering servers of one's own on this machine, by their control sockets."""

from rpcshell.servers.control import Control
from rpcshell.servers.directory import LocalServer, local_servers
from rpcwire.control import ServerStatus, WorkerStatus

__all__ = ["Control", "LocalServer", "ServerStatus", "WorkerStatus", "local_servers"]
