"""The options of the `rpcshell` command, as click reads them, and its help. What is done with them is not here."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Final

import click
from msgspec.structs import replace

from rpcshell.app.options import COMPLETION, Options, places
from rpcshell.app.shell_completion import SHELLS, complete_setting, complete_target, completion_script
from rpcshell.app.target_options import (
    tls_files,
    tls_options,
    with_headers,
    with_mcp_server,
    with_registry_credentials,
)
from rpcshell.client.dialect_names import names_dialect
from rpcshell.client.errors import UsageError
from rpcshell.client.target import ChildTarget
from rpcshell.guides import GUIDES
from rpcshell.servers.folders import config_file, history_file
from rpcshell.shell.command import meant_choice, problem_of
from rpcshell.shell.config_reading import usable_config
from rpcshell.version import __version__
from rpcshell.view.help_page import HelpPage
from rpcshell.view.help_page import grouped_option as option
from rpcshell.view.settings import FORMATS
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TARGETS: Final = (
    ("host:port, port, [v6]:port", "a TCP address; a port alone is one of this machine"),
    ("unix:/path", "a Unix socket, also as a path with a slash"),
    ("unix:@name", "one with an abstract name, without a file (Linux)"),
    ("tls://host:port", "a TCP address where the server speaks TLS; it is always verified"),
    (
        "host:port,host:port",
        "several servers of one service; also zk://host/path, srv://_service._tcp.name, dns://name:port",
    ),
    (
        "DIALECT:ADDRESS",
        "a server that speaks something else, as in jsonrpc+line:host:port or jsonrpc:https://host/path",
    ),
    ("DIALECT -- COMMAND ARG", "a child that is started, and talked to over its standard streams"),
    ("NAME", "a target of the configuration"),
)
_ENVIRONMENT: Final = (
    ("RPCSHELL_CONFIG", "the configuration file; empty for none"),
    ("RPCSHELL_HISTORY", "the history file; empty for none"),
    ("PAGER", "shows what is longer than the screen"),
    ("VISUAL, EDITOR", "edits lines"),
    ("NO_COLOR, CLICOLOR=0", "no colours"),
    ("CLICOLOR_FORCE=1", "colours in spite of CLICOLOR and TERM; also FORCE_COLOR=1"),
    ("XDG_CONFIG_HOME, XDG_STATE_HOME", "where the platform's folders are"),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "the authorities that are trusted without --tls-ca"),
)
_EXIT_CODES: Final = (
    ("0", "all went well"),
    ("1", "a server answered with an error"),
    ("2", "wrong usage: an option, a target, a file, or a line that does not parse"),
    ("3", "no connection, a lost one, no reply in time, or a server that did not start"),
    ("70", "a fault of rpcshell's own"),
    ("130", "interrupted with Ctrl-C; 128 and its number for any other signal"),
    ("141", "whoever read the output has gone"),
)
_EXAMPLES: Final = (
    ("rpcshell --spawn 10", "a prompt, and ten workers of the demo to try"),
    ("rpcshell 8080 add a=1 b=2", "one call; its result on standard output"),
    ("rpcshell 8080 -c 'user.list | jq length'", "a line as at the prompt"),
    ("rpcshell prod calls.rpc", "the lines of a file, at a target of the configuration"),
    ("rpcshell bench 8080 ping -c 16", "load on a server, and a report; bench --help says more"),
    ("echo now | rpcshell unix:/run/calc.sock", "the lines of a pipe"),
    ("rpcshell tls://rpc.example.org:8443 --tls-ca ca.pem", "an authority of one's own"),
    ("rpcshell mcp -- npx -y PACKAGE ARG", "a child, here a server of MCP; what follows -- is its command"),
    ("rpcshell --config-reference > config.toml", "a configuration to begin with"),
    ('eval "$(rpcshell --completion bash)"', "Tab for this command, in ~/.bashrc"),
)


_BEFORE_PARAMS: Final = 2
"""The words of a command line before its params: a target and a method."""

_what_to_run = partial(option, group="What to run")
_connection = partial(option, group="Connection")
_server = partial(option, group="A server for the run")
_setting = partial(option, group="Settings")
_other = partial(option, group="Other")


def _sections() -> dict[str, tuple[tuple[str, str], ...]]:
    files = (
        (_shown(config_file), "the configuration; --config-reference prints one that explains itself"),
        (_shown(history_file), "the history of the prompt"),
    )
    return {
        "Targets": _TARGETS,
        "Environment": _ENVIRONMENT,
        "Files": files,
        "Exit codes": _EXIT_CODES,
        "Examples": _EXAMPLES,
    }


def _shown(file: Callable[[], Path]) -> str:
    try:
        return str(file())
    except OSError as error:
        return f"({error.strerror})"


def _print_reference(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    del param
    if wanted and not ctx.resilient_parsing:
        from rpcshell.shell.config_reference import config_reference

        click.echo(config_reference(), nl=False)
        ctx.exit()


def _print_completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    del param
    if shell is not None and not ctx.resilient_parsing:
        click.echo(completion_script(shell, ctx.command), nl=False)
        ctx.exit()


def _print_manual(ctx: click.Context, param: click.Parameter, name: str | None) -> None:
    del param
    if name is not None and not ctx.resilient_parsing:
        from rpcshell.app.manual import show_manual

        show_manual(name, ctx.get_help())
        ctx.exit()


@click.command(
    name="rpcshell",
    cls=HelpPage,
    sections=_sections,
    ungrouped="Other",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("target", required=False, shell_complete=complete_target)
@click.argument("words", metavar="[FILE | METHOD [PARAM]...]", nargs=-1, type=click.Path())
@_what_to_run("-c", "--command", "lines", metavar="LINE", multiple=True, help="A line; repeatable.")
@_what_to_run("-k", "--keep-going", is_flag=True, help="Go on after an error; the first one counts.")
@_connection("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Seconds for a call.")
@_connection("--plain", is_flag=True, help="Bare protocol: no question for the methods, no optional keys.")
@tls_options(_connection)
@_connection(
    "--registry-credentials",
    type=click.Path(exists=True, dir_okay=False),
    help="A file with the user whom ZooKeeper lets read, and the password (zk://, zks://).",
)
@_connection(
    "--header",
    "headers",
    metavar="NAME:VALUE",
    multiple=True,
    help="One of HTTP, with every request; ${NAME} stands for what the environment has. Repeatable.",
)
@_server("--spawn", type=click.IntRange(min=1), metavar="N", help="Start one with N workers.")
@_server("--app", type=click.Path(), help="What it serves: module:attr, file.py or file.py:attr; else a demo.")
@_server("--model", type=click.Choice(list(MODELS)), help="Its worker model.")
@_server("--keep", is_flag=True, help="Leave it running afterwards.")
@_setting("--format", "format_", type=click.Choice(FORMATS), help="How results are shown.")
@_setting(
    "--set",
    "pairs",
    metavar="NAME=VALUE",
    multiple=True,
    shell_complete=complete_setting,
    help="As the shell's :set; repeatable.",
)
@_setting(
    "--config", type=click.Path(dir_okay=False), is_eager=True, help="The configuration file, instead of the usual one."
)
@_setting(
    "--config-reference",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_reference,
    help="Print a configuration that explains itself.",
)
@_connection(
    "--mcp-config",
    type=(click.Path(), str),
    metavar="FILE NAME",
    help="A server of such a file as other clients of MCP have.",
)
@_other(
    "--man",
    type=click.Choice(["rpcshell", "rpcserver", *GUIDES]),
    is_flag=False,
    flag_value="rpcshell",
    metavar="[GUIDE]",
    expose_value=False,
    is_eager=True,
    callback=_print_manual,
    help=f"Show the manual, or a guide: {', '.join(GUIDES)}.",
)
@_other("--debug", is_flag=True, help="Show where in rpcshell an unexpected error was.")
@_other(
    "--completion",
    type=click.Choice(SHELLS),
    expose_value=False,
    is_eager=True,
    callback=_print_completion,
    help="Print the completion of this command for a shell.",
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.pass_obj
def command(
    behind: list[str],
    target: str | None,
    words: tuple[str, ...],
    lines: tuple[str, ...],
    keep_going: bool,
    timeout: float | None,
    plain: bool,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    registry_credentials: str | None,
    headers: tuple[str, ...],
    spawn: int | None,
    app: str | None,
    model: str | None,
    keep: bool,
    format_: str | None,
    pairs: tuple[str, ...],
    config: str | None,
    mcp_config: tuple[str, str] | None,
    debug: bool,
) -> Options:
    """Call the methods of an RPC server.

    At a prompt where there is a terminal and nothing else to run; one METHOD with its PARAMs, a word each; line by line
    with -c; from a FILE; from a pipe. A FILE without a TARGET has a slash in its path or ends in .rpc.
    Each result is then one line of JSON on standard output, and errors go to standard error.
    """
    known = usable_config(config)
    given = list(words) if target is None else [target, *words]
    if mcp_config is not None:
        given.insert(0, mcp_config[1])
        known = with_mcp_server(known, *mcp_config)
    if behind and given and given[0] not in known.targets and names_dialect(given[0], known.dialects):
        child = ChildTarget(tuple(behind), dialect=given[0])
        found = replace(places(given[1:], known, spawned=True), target=child)
    else:
        found = places([*given, *behind], known, spawned=spawn is not None)
    where = found.target
    if registry_credentials is not None:
        where, known = with_registry_credentials(where, known, registry_credentials)
    if headers:
        where, known = with_headers(where, known, headers)
    if spawn is None and (app is not None or model is not None or keep):
        raise UsageError("--app, --model and --keep are for a server started with --spawn")
    server = None
    if spawn is not None:
        from rpcshell.servers.spawn import SpawnOptions

        server = SpawnOptions(workers=spawn, app=app, model=model, keep=keep)
    return Options(
        target=where,
        file=found.file,
        lines=found.lines_to_run(lines),
        spawn=server,
        keep_going=keep_going,
        plain=plain,
        debug=debug,
        tls=tls_files(tls_ca, tls_cert, tls_key, where, known, spawned=spawn is not None),
        settings=_settings(format_, timeout, pairs),
        config=known,
    )


def read_arguments(arguments: list[str]) -> Options | None:
    """What the command line of `rpcshell` asks for; as `read`."""
    # Behind a dialect and `--` is a child's own command line, which click would take for this one's.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return read(command, "rpcshell", arguments[:end], behind=arguments[end + 1 :])


def read(
    command: click.Command, program: str, arguments: list[str], *, behind: list[str] | None = None
) -> Options | None:
    """What a command line asks for, or None where it was help that is shown by now.

    The words `behind` it are the command's to understand.

    Raises:
        UsageError: It makes no sense, or the help cannot be written.
    """
    try:
        options = command.main(
            arguments, prog_name=program, standalone_mode=False, complete_var=COMPLETION, obj=behind or []
        )
    except click.Abort:
        raise KeyboardInterrupt from None
    except OSError as error:
        raise UsageError(f"the output cannot be written: {error.strerror}") from error
    except click.ClickException as error:
        hint = _meant(error, arguments) or f"{program} --help lists what there is"
        raise UsageError(problem_of(error), hint=hint) from error
    return options if isinstance(options, Options) else None


def _meant(error: click.ClickException, arguments: list[str]) -> str | None:
    """How the command line would be right, where that can be told."""
    if not isinstance(error, click.NoSuchOption) or error.possibilities:
        return meant_choice(error)
    # A `--` may be missing before what is no option, and stands behind a target and a method as params do.
    at = next((at for at, word in enumerate(arguments) if word.startswith(error.option_name)), 0)
    if at < _BEFORE_PARAMS or any(word.startswith("-") for word in arguments[:at]):
        return None
    said = "a param that begins with - stands behind --, after all options"
    if any(word.startswith("--") for word in arguments[at:]):
        return said
    return f"{said}: {shlex.join(['rpcshell', *arguments[:at], '--', *arguments[at:]])}"


def _settings(format_: str | None, timeout: float | None, pairs: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    given = [] if format_ is None else [("format", format_)]
    if timeout is not None:
        given.append(("timeout", str(timeout)))
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE, not {pair!r}", hint="as in --set format=table")
        given.append((name.strip(), value))
    return tuple(given)
