"""Watching and steering servers of one's own on this machine, by their control sockets."""

from rpcshell.servers.control import Control
from rpcshell.servers.directory import LocalServer, local_servers

__all__ = ["Control", "LocalServer", "local_servers"]
