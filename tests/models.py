"""The worker models that a test runs in.

What a model does by itself is tested in all of them. Where they share the code, as `conversation.py`, one that blocks
and one on a loop show it in every run, and the rest are `thorough`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rpcwire.worker_models import MODELS


def some(*chosen: str, but: str = "") -> list[object]:
    """The models, but for one perhaps, of which those that are not chosen are `thorough`."""
    return [
        model if model in chosen else pytest.param(model, marks=pytest.mark.thorough)
        for model in MODELS
        if model != but
    ]


EACH_KIND = some("sync", "async")


def of_each_kind_and(name: str, cases: Mapping[str, str], but: tuple[str, str]) -> pytest.MarkDecorator:
    """As `of_each_kind`, with each of these cases by its id, but for a model and a case that do not go together."""
    pairs = [
        pytest.param(model, value, id=f"{model}-{case}", marks=() if model in EACH_KIND else pytest.mark.thorough)
        for case, value in cases.items()
        for model in MODELS
        if (model, case) != but
    ]
    return pytest.mark.parametrize(("model", name), pairs)


of_each_kind = pytest.mark.parametrize("model", EACH_KIND)

of_concurrent_kinds = pytest.mark.parametrize("model", some("thread", "async")[1:])
"""Those that serve several connections at once: by a thread or a child for each, and on a loop."""

preloaded_too = pytest.mark.parametrize("preload", [(), pytest.param(("--preload",), marks=pytest.mark.thorough)])
"""Once as each worker imports the app, and once more as a stem does for all of them."""
