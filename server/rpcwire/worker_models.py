"""The worker models by name, and what a server and those who watch and measure it have to know of each."""

from __future__ import annotations

from typing import Final, NamedTuple


class WorkerModel(NamedTuple):
    """A worker model."""

    concurrent: bool = True
    """Whether a worker accepts connections while it serves others, and itself sees to how long requests take. One that
    does not is looked after by the arbiter, and an idle connection keeps it from the others."""
    forks: bool = False
    """Whether each connection has a process of its own."""


MODELS: Final = {
    "sync": WorkerModel(concurrent=False),
    "thread": WorkerModel(),
    "pool": WorkerModel(),
    "fork": WorkerModel(forks=True),
    "async": WorkerModel(),
}


def worker_model(name: str) -> WorkerModel:
    """The model of a name; a server of another version may have one that is not known here."""
    return MODELS.get(name, WorkerModel())
