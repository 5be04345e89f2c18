"""The options of a benchmark, as they are written: those of `:bench` and of `rpcshell bench` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import click
import msgspec

from rpcshell.client.errors import UsageError
from rpcshell.servers.folders import user_path
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECONDS: Final = 5.0
_SECONDS_A_ROUND: Final = 2.0
_ROUNDS: Final = 3
_CONNECTIONS: Final = 8

_T = TypeVar("_T")


def _model_names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    names = tuple(MODELS) if value == "all" else tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    for name in names:
        if name not in MODELS:
            raise click.BadParameter(f"{name!r} is no worker model: there are {', '.join(MODELS)}, and all for all")
    return names


class BenchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, as the options' help has it; None is for what suits."""

    connections: int | None = None
    seconds: float | None = None
    calls: int | None = None
    rate: float | None = None
    pipeline: int = 1
    models: tuple[str, ...] = ()
    workers: int | None = None
    rounds: int | None = None
    processes: int | None = None
    compare: bool = False
    html: str | None = None
    json: bool = False
    yes_remote: bool = False
    app: str | None = None
    """What the servers of the models serve where none runs that says it."""

    def check(self) -> None:
        """See whether they make sense together; raises `UsageError` where they do not."""
        if self.workers is not None and not self.models:
            raise UsageError(
                "--workers is for the servers that --models starts", hint=":scale N changes the running one"
            )
        if self.processes is not None and self.processes > self.most_connections:
            raise UsageError(f"{self.processes} processes need as many connections, not {self.most_connections}")
        if (page := self.page) is not None and (page.is_dir() or not page.parent.is_dir()):
            raise UsageError(f"{self.html} cannot be written: {page.parent} is no folder, or it is one itself")

    @property
    def page(self) -> Path | None:
        """Where the page is written."""
        return None if self.html is None else user_path(self.html)

    @property
    def most_connections(self) -> int:
        """How many connections there are where all can be served."""
        return self.connections or _CONNECTIONS

    @property
    def rounds_to_run(self) -> int:
        """How often each is measured."""
        return self.rounds or (_ROUNDS if self.models else 1)

    @property
    def seconds_to_run(self) -> float | None:
        """How long calls are begun in each round; None where only their number counts."""
        if self.seconds is None and self.calls is None:
            return _SECONDS_A_ROUND if self.rounds_to_run > 1 else _SECONDS
        return self.seconds


_OPTIONS: Final = (
    click.option(
        "-c",
        "--connections",
        type=click.IntRange(1, 10_000),
        metavar="CONNS",
        help=f"How many connections; {_CONNECTIONS}, but no more than workers of model sync.",
    ),
    click.option(
        "-d",
        "--seconds",
        type=click.FloatRange(0.1, 86_400),
        metavar="SECONDS",
        help=f"For how long calls begin; {_SECONDS:g}, or {_SECONDS_A_ROUND:g} in each of several rounds.",
    ),
    click.option("-n", "--calls", type=click.IntRange(1), metavar="N", help="How many calls, in all."),
    click.option(
        "-r",
        "--rate",
        type=click.FloatRange(0, 1_000_000, min_open=True),
        metavar="R",
        help="Calls a second to begin, whatever becomes of those before; else each waits for the one before.",
    ),
    click.option(
        "-p",
        "--pipeline",
        type=click.IntRange(1, 1024),
        metavar="D",
        default=1,
        help="How many calls at once on a connection; 1.",
    ),
    click.option("-m", "--models", callback=_model_names, metavar="M,M", help="Compare these worker models, or all."),
    click.option(
        "-w",
        "--workers",
        type=click.IntRange(1, 1000),
        metavar="N",
        help="With --models: how many workers each; else what suits the model best.",
    ),
    click.option(
        "--rounds", type=click.IntRange(1, 100), metavar="N", help=f"How often to measure; 1, or {_ROUNDS} with models."
    ),
    click.option("--processes", type=click.IntRange(1, 64), metavar="P", help="How many processes make the load."),
    click.option("--compare", is_flag=True, help="Compare with the last run of the same call."),
    click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a page with charts."),
    click.option("--json", "json", is_flag=True, help="Tell what came of it as JSON."),
    click.option("--yes-remote", is_flag=True, help="Load a server that is not on this machine."),
)


def bench_options(handler: Callable[..., _T]) -> Callable[..., _T]:
    """Decorate a click command with the options; it gets them as the fields of `BenchOptions`."""
    for option in reversed(_OPTIONS):
        handler = option(handler)
    return handler
