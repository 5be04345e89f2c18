"""`rpcshell bench`: the options of a benchmark from the command line of another shell."""

from __future__ import annotations

from typing import Any

import click

from rpcshell.app.arguments import read
from rpcshell.app.options import Options, places
from rpcshell.app.shell_completion import complete_target
from rpcshell.app.target_options import tls_files, tls_options
from rpcshell.client.errors import UsageError
from rpcshell.lab.bench.options import BenchOptions, bench_options
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.config_reading import usable_config
from rpcwire.worker_models import MODELS


@click.command(
    "bench",
    context_settings={"help_option_names": ["-h", "--help"]},
    options_metavar="[OPTIONS]",
    epilog="Exit codes: 0, 1 where no call went well, 2 for wrong usage, 3 where there was no connection, 130 for "
    "Ctrl-C (what there was by then is told).",
)
@click.argument("words", metavar="[TARGET] CALL", nargs=-1, required=True, shell_complete=complete_target)
@bench_options
@click.option("--spawn", type=click.IntRange(min=1), metavar="N", help="Start a server with N workers; no TARGET then.")
@click.option("--app", metavar="APP", help="What that server, or each of --models, serves; else a demo.")
@click.option("--model", type=click.Choice(list(MODELS)), help="The worker model of that server.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="S", help="Seconds for a call; 10.")
@click.option("--plain", is_flag=True, help="Bare protocol: nothing but the method and its params.")
@tls_options(click.option)
@click.option("--debug", is_flag=True, help="Show where in rpcshell an unexpected error was.")
@click.option("--config", type=click.Path(dir_okay=False), help="The configuration file, instead of the usual one.")
def _command(
    words: tuple[str, ...],
    spawn: int | None,
    app: str | None,
    model: str | None,
    timeout: float | None,
    plain: bool,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    debug: bool,
    config: str | None,
    **bench: Any,
) -> Options:
    """Put load on a server: make a CALL as often as it can take it, or at a rate, and report how long it took.

    The CALL is written as in the shell, such as 'ping {"a": 1}' or add a=1 b=2. The TARGET is as for rpcshell itself.
    With --models servers of each model are started in turn, and compared.
    """
    known = usable_config(config)
    models: tuple[str, ...] = bench["models"]
    if app is not None and spawn is None and not models:
        raise UsageError("--app is for a server started with --spawn, or for those of --models")
    if model is not None and (spawn is None or models):
        raise UsageError("--model is for a server started with --spawn; --models compares several")
    wanted = BenchOptions(**bench)
    if models:
        # Servers that are compared are started anyway.
        wanted = BenchOptions(**{**bench, "workers": wanted.workers or spawn}, app=app)
        spawn = None
    own = spawn is not None or bool(models)
    if not own and len(words) == 1:
        raise UsageError("bench needs a TARGET and a CALL", hint="rpcshell bench 8080 ping, or --spawn 4 ping")
    where = None if own else places(words[:1], known).target
    if not own and where is None:
        raise UsageError(f"{words[0]} is a file, and bench needs a TARGET", hint="rpcshell bench --help says more")
    return Options(
        target=where,
        spawn=None if spawn is None else SpawnOptions(workers=spawn, app=app, model=model),
        bench=(" ".join(words if own else words[1:]), wanted),
        plain=plain,
        debug=debug,
        tls=tls_files(tls_ca, tls_cert, tls_key, where, known, spawned=own),
        settings=() if timeout is None else (("timeout", str(timeout)),),
        config=known,
    )


def read_bench_arguments(arguments: list[str]) -> Options | None:
    """What the command line of `rpcshell bench` asks for; as `read`."""
    return read(_command, "rpcshell bench", arguments)
