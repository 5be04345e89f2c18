"""The worker models by name, and what the rest of the server has to know of each."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["MODELS", "Model"]


class Model(NamedTuple):
    """A worker model.

    Attributes:
        place: where its class is, `module:name`.
        concurrent: whether a worker accepts connections while it serves others, and itself sees to how long requests
            take. One that does not is looked after by the arbiter.
        forks: whether each connection has a process of its own.
    """

    place: str
    concurrent: bool = True
    forks: bool = False


MODELS: Final = {
    "sync": Model("rpcserver.workers.sync:SyncWorker", concurrent=False),
    "thread": Model("rpcserver.workers.thread:ThreadWorker"),
    "pool": Model("rpcserver.workers.pool:PoolWorker"),
    "fork": Model("rpcserver.workers.fork:ForkWorker", forks=True),
    "async": Model("rpcserver.workers.aio:AsyncWorker"),
}
