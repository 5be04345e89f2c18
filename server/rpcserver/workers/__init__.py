"""The worker models. Each is one module over `base`, and none is imported before it is chosen."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rpcserver.workers.base import Worker

_CLASSES: Final = {
    "sync": "sync:SyncWorker",
    "thread": "thread:ThreadWorker",
    "pool": "pool:PoolWorker",
    "fork": "fork:ForkWorker",
    "async": "aio:AsyncWorker",
}


def load_model(name: str) -> type[Worker]:
    """Import a worker model's class; raises KeyError where there is no such model."""
    module, _, attribute = _CLASSES[name].partition(":")
    model: type[Worker] = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return model
