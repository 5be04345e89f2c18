"""The worker models that a test runs in.

What a model does by itself is tested in all of them. Where they share the code, as `conversation.py`, one that blocks
and one on a loop show it in every run, and the rest are `thorough`.
"""

from __future__ import annotations

import pytest

from rpcserver.workers import MODELS

EACH_KIND = [
    model if model in {"sync", "async"} else pytest.param(model, marks=pytest.mark.thorough) for model in MODELS
]

of_each_kind = pytest.mark.parametrize("model", EACH_KIND)
