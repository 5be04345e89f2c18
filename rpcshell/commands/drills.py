"""Commands that harm a server of one's own and show what comes of it, `:drill kill` and its like.

`:reload` and `:scale` are told of in the same way, and do no harm. What drills do is in `rpcshell.lab.drills`.
"""

from __future__ import annotations

import signal as signals
from typing import TYPE_CHECKING, Any

import click

from rpcshell.commands.groups import BREAK_IT, RUN_A_SERVER
from rpcshell.commands.method_page import columns
from rpcshell.shell.command import WORKER, command, worker_number

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell

_KINDS = ("kill", "freeze", "hold", "slow", "flood")
_MOST_WORKERS = 1000
_LONGEST_FREEZE = 60
"""Seconds."""

_SECONDS = click.FloatRange(0.1, 600)


class _Signal(click.Choice[str]):
    """A signal by its name, with SIG or without, or by its number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name = str(value).upper().removeprefix("SIG")
        if name.isdecimal():
            try:
                name = signals.Signals(int(name)).name.removeprefix("SIG")
            except ValueError:
                name = str(value)
        return super().convert(name, param, ctx)


class _Workers(click.IntRange):
    name = "number of workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).startswith("+"):
            # As a number it would end all but so many workers of whoever wants some more.
            self.fail(f"{value!r} is more than there are, and N is how many there shall be", param, ctx)
        return super().convert(value, param, ctx)


_CALL = click.option(
    "-c", "--call", metavar="CALL", help="What is called meanwhile, to see what becomes of it; ping, if not given."
)
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask, whoever started the server.")
_SIGNALS = _Signal(["KILL", "TERM", "QUIT", "ABRT", "SEGV", "INT", "STOP", "CONT"])


def _perform(shell: Shell, name: str, call: str | None, *details: object, **harm: Any) -> None:
    from rpcshell.lab.drills import perform

    perform(shell, name, call, *details, **harm)


@command("drill", group=BREAK_IT, examples=(":drill", ":drill kill 3", ":drill hold 10"))
@click.argument("kind", metavar="KIND", type=click.Choice(_KINDS), required=False)
def drill(shell: Shell, *, kind: str | None) -> None:
    """Break your server: kill, freeze, hold, slow or flood.

    The timeline shows what becomes of the server, and of clients that call it meanwhile. Each KIND has a help of its
    own, such as `:help drill kill`; without one they are listed.
    """
    found = [shell.commands.resolve(f"drill {each}") for each in _KINDS if kind in {None, each}]
    shell.output.text("\n".join(columns([(each.spec.outline, each.summary) for each in found])))


@command(
    "drill kill",
    group=BREAK_IT,
    former=("kill",),
    examples=(":drill kill 3", ":drill kill 3 TERM", ":drill kill 1 --call 'sleep seconds=0.2'"),
)
@click.argument("worker", type=WORKER)
@click.argument("signal", type=_SIGNALS, default="KILL")
@_CALL
@_YES
def kill(shell: Shell, *, worker: str, signal: str, call: str | None, yes: bool) -> None:
    """Kill a WORKER, and show how it is replaced.

    It is sent KILL, or another SIGNAL: TERM has it finish what it does, STOP and CONT have it stand still and go on.

    The timeline says when the signal was sent, when the worker died, when its replacement was forked and READY, and
    which calls were lost. A few clients keep calling meanwhile.
    """
    number = worker_number(worker)
    harm = f"send SIG{signal} to worker {number}"
    _perform(shell, "kill", call, number, signal, worker=number, harm=harm, consent=yes)


@command("drill freeze", group=BREAK_IT, former=("freeze",), examples=(":drill freeze 2 3", ":drill freeze 1 0.5"))
@click.argument("worker", type=WORKER)
@click.argument("seconds", type=click.FloatRange(min=0.01, max=_LONGEST_FREEZE))
@_CALL
@_YES
def freeze(shell: Shell, *, worker: str, seconds: float, call: str | None, yes: bool) -> None:
    """Freeze a WORKER for some SECONDS, and show who waits.

    It stands still as if it hung: it is sent STOP, and CONT when the time is over, when Ctrl-C is pressed, and also
    when the shell is gone: the server itself sees to that.
    """
    number = worker_number(worker)
    _perform(shell, "freeze", call, number, seconds, worker=number, harm=f"freeze worker {number}", consent=yes)


@command("reload", group=RUN_A_SERVER, examples=(":reload",))
@_CALL
def reload(shell: Shell, *, call: str | None) -> None:
    """Replace all workers one by one, without losing a call.

    The new ones import the app as it is now. If it cannot be imported, the old ones stay.
    """
    try:
        _perform(shell, "reload", call)
    finally:
        # What is new is to be offered before it is called.
        shell.session.refresh()


@command("scale", group=RUN_A_SERVER, examples=(":scale 8",))
@click.argument("workers", metavar="N", type=_Workers(1, _MOST_WORKERS))
@_CALL
def scale(shell: Shell, *, workers: int, call: str | None) -> None:
    """Have N workers, and show how they come or go.

    Where there shall be fewer, the oldest idle ones leave first, after answering what has arrived.
    """
    _perform(shell, "scale", call, workers)


@command("drill hold", group=BREAK_IT, former=("hold",), examples=(":drill hold 10", ":drill hold 20 -d 3"))
@click.argument("connections", metavar="N", type=click.IntRange(1, 500))
@click.option("-d", "--seconds", metavar="SECONDS", type=_SECONDS, default=8, help="For how long; 8.")
@_CALL
@_YES
def hold(shell: Shell, *, connections: int, seconds: float, call: str | None, yes: bool) -> None:
    """Hold N idle connections, and show who has to wait.

    The timeline says which workers they take, who waits in the listen queue, and who has to go.

    A worker of the sync model serves one connection at a time, so that idle ones starve others; after
    --reclaim-idle (5 s) the server has them go. The other models do so once --max-connections are open.
    """
    _perform(shell, "hold", call, connections, seconds, harm=f"hold {connections} idle connections", consent=yes)


@command("drill slow", group=BREAK_IT, former=("slow",), examples=(":drill slow 10", ":drill slow -n 20 100 -d 5"))
@click.argument("rate", metavar="BYTES/S", type=click.FloatRange(0.1, 100_000))
@click.option(
    "-n", "--connections", metavar="CONNS", type=click.IntRange(1, 500), help="How many; one for each worker."
)
@click.option("-d", "--seconds", metavar="SECONDS", type=_SECONDS, default=35, help="For how long; 35.")
@_CALL
@_YES
def slow(shell: Shell, *, rate: float, connections: int | None, seconds: float, call: str | None, yes: bool) -> None:
    """Send requests at so many BYTES/S that they never end.

    The timeline shows what the server does about it, and whether others go on. Where a request takes longer to arrive
    than --read-timeout (30 s) its sender is dropped. It stops once all are.
    """
    _perform(shell, "slow", call, connections, rate, seconds, harm="send it requests slowly", consent=yes)


@command(
    "drill flood",
    group=BREAK_IT,
    former=("flood",),
    examples=(":drill flood", ":drill flood -n 500 -d 3", ":drill flood --call 'sleep seconds=0.05'"),
)
@click.option("-n", "--connections", metavar="CONNS", type=click.IntRange(1, 2000), default=200, help="How many; 200.")
@click.option("-d", "--seconds", metavar="SECONDS", type=click.FloatRange(0.1, 30), default=2, help="For how long; 2.")
@_CALL
@_YES
def flood(shell: Shell, *, connections: int, seconds: float, call: str | None, yes: bool) -> None:
    """Call more than it can serve, and show what it does.

    The timeline shows how long the listen queue is, who is turned away or kept out, and how the server recovers.

    Each connection has eight calls on their way. It stops by itself: after its seconds, 30 at most, or 256 MiB.
    """
    _perform(shell, "flood", call, connections, seconds, harm=f"flood it from {connections} connections", consent=yes)
