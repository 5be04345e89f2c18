"""The prefork server's public API: what a user's service is written with.

Starting the server is `python -m rpcserver`; nothing here imports its process side.
"""

from rpcserver.service.context import Context, Peer, WorkerInfo
from rpcserver.service.service import Example, Method, Service
from rpcserver.system.errors import AppFailed, AppNotFound, LoadError, RpcError, ServerError, ServiceError

__all__ = [
    "AppFailed",
    "AppNotFound",
    "Context",
    "Example",
    "LoadError",
    "Method",
    "Peer",
    "RpcError",
    "ServerError",
    "Service",
    "ServiceError",
    "WorkerInfo",
]
