"""The worker models by name. Each is one module over `base`; none is imported before it is chosen."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rpcserver.workers.base import Worker

MODELS: Final = {
    "sync": "rpcserver.workers.sync:SyncWorker",
    "thread": "rpcserver.workers.thread:ThreadWorker",
    "pool": "rpcserver.workers.pool:PoolWorker",
    "fork": "rpcserver.workers.fork:ForkWorker",
    "async": "rpcserver.workers.aio:AsyncWorker",
}
"""Where each model's class is."""


def load_model(name: str) -> type[Worker]:
    """Import a worker model's class.

    Raises:
        KeyError: there is no such model.
    """
    module, _, attribute = MODELS[name].partition(":")
    model: type[Worker] = getattr(importlib.import_module(module), attribute)
    return model
