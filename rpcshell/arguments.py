"""The options of the `rpcshell` command, as click reads them. What is done with them is not here."""

from __future__ import annotations

from typing import Final

import click

from rpcshell import __version__
from rpcshell.errors import UsageError
from rpcshell.options import MODELS, Options, places

__all__ = ["read_arguments"]

_EPILOG: Final = (
    "TARGET is host:port, port, [v6]:port, unix:/path or the path of a socket. Exit codes: 0 all went well, "
    "1 a server answered with an error, 2 wrong usage, 3 no connection, 130 interrupted."
)


@click.command(name="rpcshell", epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.argument("target", required=False)
@click.argument("file", required=False)
@click.option("-c", "--command", "lines", metavar="LINE", multiple=True, help="Run a line; may be repeated.")
@click.option("-k", "--keep-going", is_flag=True, help="Go on after an error; the first one sets the exit code.")
@click.option("--plain", is_flag=True, help="For servers of the bare protocol: no probe, no optional keys.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Limit of a call.")
@click.option("--spawn", type=click.IntRange(min=1), metavar="N", help="Start a server with N workers for the run.")
@click.option("--app", help="What the started server serves: module:attr, file.py or file.py:attr.")
@click.option("--model", type=click.Choice(MODELS), help="The worker model of the started server.")
@click.option("--keep", is_flag=True, help="Leave the started server running.")
def _command(
    target: str | None,
    file: str | None,
    lines: tuple[str, ...],
    keep_going: bool,
    plain: bool,
    timeout: float | None,
    spawn: int | None,
    app: str | None,
    model: str | None,
    keep: bool,
) -> Options:
    """Call the methods of an RPC server: at a prompt, from a FILE or a pipe, or line by line with -c."""
    where, script = places(target, file, spawned=spawn is not None)
    if spawn is None and (app is not None or model is not None or keep):
        raise UsageError("--app, --model and --keep are for a server started with --spawn")
    if script is not None and lines:
        raise UsageError("give a FILE or -c, not both")
    server = None
    if spawn is not None:
        from rpcshell.spawn import SpawnOptions

        server = SpawnOptions(workers=spawn, app=app, model=model, keep=keep)
    return Options(
        target=where, file=script, lines=lines, spawn=server, keep_going=keep_going, plain=plain, timeout=timeout
    )


def read_arguments(arguments: list[str]) -> Options | None:
    """What a command line asks for, or None where it was help that is shown by now.

    Args:
        arguments: The command line without the program's name.

    Raises:
        UsageError: It makes no sense.
    """
    try:
        options = _command.main(arguments, prog_name="rpcshell", standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        raise UsageError(error.format_message(), hint="rpcshell --help lists what there is") from error
    return options if isinstance(options, Options) else None
