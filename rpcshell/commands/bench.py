"""The command that puts load on a server: `:bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rpcshell.lab.bench.options import BenchOptions, bench_options
from rpcshell.shell.command import CALL, command

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell


@command(
    "bench",
    group="Calls",
    examples=(
        ":bench ping",
        ":bench -c 16 -d 10 add a=1 b=2",
        ":bench --rate 500 order.list limit=3",
        ":bench --models all -c 8 ping",
        ":bench --compare --html bench.html ping",
    ),
)
@bench_options
@click.argument("call", metavar="CALL", type=CALL, nargs=-1, required=True)
def bench(shell: Shell, *, call: str, **options: Any) -> None:
    """Put load on the server, and report what it could take.

    Each connection makes the CALL again as soon as it is answered (a closed loop). With --rate calls begin when
    they are due, whether others were answered or not, and are timed from then on: a standstill cannot hide.

    Processes of their own make the load. Ctrl-C stops it with what there is by then. Options may follow the CALL.
    """
    run_bench(shell, call, BenchOptions(**options))


def run_bench(shell: Shell, call: str, options: BenchOptions) -> None:
    """Run a benchmark and show what came of it.

    Args:
        shell: Where, and for which server.
        call: What is called, as typed.
        options: How.

    Raises:
        ShellError: As `conduct`.
    """
    from rpcshell.lab.bench.conduct import conduct

    conduct(shell, call, options, shell.output.live)
