"""The worker models. Each is one module over `base`, named in `models`; none is imported before it is chosen."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rpcserver.workers.models import MODELS

if TYPE_CHECKING:
    from rpcserver.workers.base import Worker

__all__ = ["MODELS", "load_model"]


def load_model(name: str) -> type[Worker]:
    """Import a worker model's class.

    Raises:
        KeyError: there is no such model.
    """
    module, _, attribute = MODELS[name].place.partition(":")
    model: type[Worker] = getattr(importlib.import_module(module), attribute)
    return model
