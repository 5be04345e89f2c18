"""Commands that start and stop a server of one's own: `:spawn` and `:stop`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from rpcshell.client.errors import UsageError
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.command import KindOfWord, command
from rpcshell.view.escape import visible
from rpcwire.control import MODELS

if TYPE_CHECKING:
    from rpcshell.servers.spawn import SpawnedServer
    from rpcshell.shell.shell import Shell


@command(
    "spawn",
    group="Server",
    examples=(":spawn 10", ":spawn 4 calc.py", ":spawn calc.py:service --bind 127.0.0.1:8080 --keep"),
)
@click.argument("workers", metavar="[N]", type=KindOfWord("path"), required=False)
@click.argument("app", type=KindOfWord("path"), required=False)
@click.option("-m", "--model", type=click.Choice(MODELS), help="How a worker serves its connections.")
@click.option("-b", "--bind", multiple=True, metavar="ADDRESS", help="Where to listen, instead of a free port here.")
@click.option("--keep", is_flag=True, help="Leave the server running when the shell is left.")
def spawn(
    shell: Shell, *, workers: str | None, app: str | None, model: str | None, bind: tuple[str, ...], keep: bool
) -> None:
    """Start a server and connect to it.

    It has N workers, by default as many as the processors can use, and ends with the shell.

    APP is what it serves: file.py, file.py:attribute or module:attribute. Without one it serves a demo, with a
    method for everything there is to try.
    """
    running = shell.session.server
    if running is not None and running.poll() is None:
        raise UsageError(f"a server is running already: {_described(running)}", hint=":stop ends it")
    if workers is not None and not workers.isdecimal():
        if app is not None:
            raise UsageError(f"N is a number of workers, not {workers!r}", hint=":spawn 10 calc.py")
        workers, app = None, workers
    count = int(workers) if workers else None
    start_server(shell, SpawnOptions(count, app, model, bind or SpawnOptions().bind, keep))


@command("stop", group="Server")
def stop(shell: Shell) -> None:
    """Stop the server that was spawned here.

    It answers first what it is working on. Ctrl-C hurries it.
    """
    server = shell.session.server
    if server is None:
        raise UsageError("no server was spawned here", hint=":spawn 10 starts one")
    shell.session.stop()
    shell.output.note("the server has stopped")


def start_server(shell: Shell, options: SpawnOptions) -> None:
    """Start a server, connect to it and say where it is.

    Raises:
        ShellError: it did not start.
    """
    began = time.monotonic()
    server = shell.session.spawn(options)
    shell.output.text(f"{_described(server)} in {time.monotonic() - began:.1f} s")


def _described(server: SpawnedServer) -> str:
    workers = f"{server.workers} worker{'' if server.workers == 1 else 's'}"
    return f"{workers} ({visible(server.model)}) on {visible(', '.join(server.addresses))}"
