"""The prefork server's public API: what a user's service is written with.

Starting the server is `python -m rpcserver`; nothing here imports its process side.
"""

from .context import Context, Peer, WorkerInfo
from .errors import AppFailed, AppNotFound, LoadError, RpcError, ServerError, ServiceError
from .service import Example, Method, Service

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
