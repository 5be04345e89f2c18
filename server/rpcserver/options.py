"""The options of the `rpcserver` command: their names, defaults, bounds and help, which has headings.

`--completion` and `--man` are done here, as they need nothing else. Reading other sources than the command line, and
running what is asked for, is `cli`'s business.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from rpcserver.config_reference import print_reference
from rpcserver.system.addresses import parse_bind
from rpcserver.system.settings import (
    ServerSettings,
    checked_seconds,
    default_workers,
    parse_advertised,
    parse_budget,
    parse_control,
    parse_health,
    parse_metrics,
    parse_mode,
    parse_proxies,
    parse_registry,
    parse_size,
)
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

ENVIRONMENT: Final = "RPCSERVER"
"""What the names of environment variables begin with."""

_DEFAULTS: Final = ServerSettings()
_LONGEST: Final = 31_536_000  # seconds: a year
_SHELLS: Final = ("bash", "zsh", "fish")
_REGISTRY_TLS: Final = ("register_ca", "register_cert", "register_key")


class Invocation(msgspec.Struct, frozen=True):
    """What the command line and the other sources ask for."""

    settings: ServerSettings
    log_level: str
    log_format: str
    log_file: Path | None
    check: bool = False
    """Whether nothing is to be started."""


class _GroupedOption(click.Option):
    """An option that stands under a heading in the help."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class _GroupedCommand(click.Command):
    """A command whose help has headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group in the order in which they were declared."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            # What the argument is, the text above the options says.
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Other"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


class _Group:
    """Options under a heading; unless one is given, the default of each is that of the setting with its name."""

    def __init__(self, heading: str) -> None:
        self._heading = heading

    def option(self, *names: str, read: Callable[[Any], Any] | None = None, **attributes: Any) -> Decorator:
        """Declare an option, whose text, or each of its texts, `read` converts."""
        default = getattr(_DEFAULTS, names[0].partition("/")[0].removeprefix("--").replace("-", "_"), None)
        if default is not None:
            attributes = {"default": default, "show_default": not isinstance(default, bool), **attributes}
        if read is not None:
            attributes["callback"] = _read_by(read)
        return click.option(*names, cls=_GroupedOption, group=self._heading, **attributes)

    def seconds(self, name: str, *, least: float = 0, most: float = _LONGEST, **attributes: Any) -> Decorator:
        return self.option(name, type=click.FloatRange(least, most), read=checked_seconds, metavar="S", **attributes)

    def count(self, *names: str, least: int = 1, most: int = 1_000_000, **attributes: Any) -> Decorator:
        return self.option(*names, type=click.IntRange(least, most), metavar="N", **attributes)

    def file(self, *names: str, **attributes: Any) -> Decorator:
        return self.option(*names, type=click.Path(path_type=Path), metavar="PATH", **attributes)

    def action(self, name: str, callback: Callable[..., None], **attributes: Any) -> Decorator:
        """Declare an option that has something else done than to run a server."""
        attributes = {"is_flag": "type" not in attributes, **attributes}
        return self.option(name, callback=callback, expose_value=False, is_eager=True, **attributes)


def _read_by(read: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if value is None:
            return None
        try:
            return tuple(read(text) for text in value) if isinstance(value, tuple) else read(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


def _print_completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    """Print what a shell evaluates to complete the command, where that was asked for, and leave."""
    del param
    if shell is None or ctx.resilient_parsing:
        return
    from click.shell_completion import get_completion_class

    if (found := get_completion_class(shell)) is not None:
        # The last is the environment variable by which the shells' scripts ask for completions, as click calls it.
        maker = found(ctx.command, {}, "rpcserver", "_RPCSERVER_COMPLETE")
        # click's own `source` would start bash to look at its version; any of this century will do.
        click.echo(maker.source_template % maker.source_vars(), nl=False)
    ctx.exit()


def _show_manual(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Become the shell of the same wheel, that shows its guide to the server, where that was asked for."""
    del param
    if wanted and not ctx.resilient_parsing:
        # Without the current folder on the path: what is called rpcshell there is none.
        os.execv(sys.executable, [sys.executable, "-P", "-m", "rpcshell", "--man", "server"])  # noqa: S606 - it needs none


_LISTEN: Final = _Group("Listening")
_TLS: Final = _Group("TLS (files in PEM form; read again when the server reloads)")
_WORKERS: Final = _Group("Workers")
_LIMITS: Final = _Group("Limits (seconds; 0 is no limit)")
_STOP: Final = _Group("Stopping")
_REGISTRY: Final = _Group("Registration (for clients of many machines; needs pip install 'rpcshell[zookeeper]')")
_LOGS: Final = _Group("Logs")
_OTHER: Final = _Group("Other")


@click.command(
    "rpcserver",
    cls=_GroupedCommand,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.argument("app", required=False, type=click.Path(), envvar=f"{ENVIRONMENT}_APP")
@_LISTEN.option(
    "--bind",
    "-b",
    multiple=True,
    metavar="ADDRESS",
    default=[str(bind) for bind in _DEFAULTS.bind],
    read=parse_bind,
    help="HOST:PORT, [IPV6]:PORT, unix:PATH or unix:@NAME, or with a framing for JSON-RPC, as in line+tcp://HOST:PORT; "
    "may be repeated. Port 0 takes a free one.",
)
@_LISTEN.count("--backlog", most=65535, help="How many connections may wait to be accepted.")
@_LISTEN.option(
    "--unix-mode",
    metavar="MODE",
    default=f"{_DEFAULTS.unix_mode:o}",
    read=parse_mode,
    help="Permissions of the paths of Unix sockets.",
)
@_LISTEN.option(
    "--proxy-protocol",
    metavar="FROM",
    read=parse_proxies,
    help="Take clients' addresses from the PROXY headers (v1 or v2) that these proxies must send: addresses, networks "
    "and unix, with commas between them.",
)
@_TLS.file("--tls-cert", help="The server's certificate, its issuers' after it: speak TLS on TCP addresses.")
@_TLS.file("--tls-key", help="The certificate's key, unless it is in the same file.")
@_TLS.file("--tls-client-ca", help="Certificates of authorities: serve only clients that show one of theirs.")
@_WORKERS.count(
    "--workers",
    "-w",
    most=1000,
    default=None,
    show_default="one a processor; in model sync twice as many and one, at least 4",
    help="How many worker processes to keep. Model sync needs as many as there are clients at once; in the others one "
    "a processor is best, as each serves many.",
)
@_WORKERS.option(
    "--model",
    "-m",
    type=click.Choice(list(MODELS)),
    help="How a worker serves connections. sync: one at a time, for few clients; thread: a thread each; pool: --threads"
    " for any number of them; fork: a process each; async: on an event loop, the fastest with many clients.",
)
@_WORKERS.option(
    "--preload",
    is_flag=True,
    help="Import the app once, in a process that forks the workers: they share its memory, and start in milliseconds. "
    "What does not survive a fork, such as a connection, belongs in @service.on_worker_start.",
)
@_WORKERS.seconds("--start-timeout", help="How long a worker may take to load the app; 0 is no limit.")
@_WORKERS.count("--threads", help="Models pool and async: threads for handlers, in each worker.")
@_WORKERS.count("--queue", help="Model pool: requests that wait, in each worker.")
@_WORKERS.count("--max-children", help="Model fork: processes of each worker.")
@_WORKERS.count("--max-requests", least=0, help="Replace a worker after that many requests; 0 is never.")
@_WORKERS.count("--max-requests-jitter", least=0, help="And up to that many more, at random.")
@_WORKERS.seconds(
    "--reclaim-idle",
    help="While clients wait in vain, a connection that is silent, or slow, for so long loses its place, or else "
    "one that is in use and has lasted so long, where its client heeds `close`; 0 is never.",
)
@_LIMITS.seconds("--timeout", help="For a handler to finish a request.")
@_LIMITS.count("--max-connections", help="Open connections of each worker; one of model sync has one.")
@_LIMITS.option(
    "--max-frame",
    metavar="SIZE",
    default="16M",
    read=parse_size,
    help="The largest request. How deeply its JSON may be nested is the interpreter's to say: 1,000 levels or more.",
)
@_LIMITS.option(
    "--max-buffered",
    metavar="SIZE",
    default="256M",
    read=parse_budget,
    help="What a worker holds of large requests, one --max-frame at least; more are answered busy. 0 is no limit.",
)
@_LIMITS.seconds("--idle-timeout", help="Silence between requests.")
@_LIMITS.seconds(
    "--max-connection-age",
    help="Age at which a connection ends between two calls, or up to a fifth sooner, to be balanced anew.",
)
@_LIMITS.seconds("--read-timeout", help="From a request's first byte to its last, and to the first request.")
@_LIMITS.seconds("--write-timeout", help="For a client to take the next 64 KiB of a reply.")
@_STOP.seconds("--drain-timeout", help="How long workers may take to finish before they are killed.")
@_STOP.seconds("--drain-grace", help="How long an idle client that does not know `close` has for one last request.")
@_STOP.seconds(
    "--drain-settle",
    show_default="0, or 0.3 with --register",
    help="How long SIGTERM leaves everything as it is, but for --health, so that balancers hear of it first.",
)
@_REGISTRY.option(
    "--register",
    metavar="URL",
    read=parse_registry,
    help="Keep this server in ZooKeeper while it is ready: zk://HOST:PORT,HOST:PORT/path, or zks:// for TLS.",
)
@_REGISTRY.option(
    "--advertise",
    metavar="HOST[:PORT]",
    read=parse_advertised,
    show_default="where it listens",
    help="As what: where clients on other machines connect to.",
)
@_REGISTRY.file(
    "--register-credentials",
    help="A TOML file that nobody else may read: user, password and, as zkCli writes it, acl.",
)
@_REGISTRY.seconds(
    "--register-session",
    least=1,
    most=3600,
    help="How long ZooKeeper waits for a server that is silent before it forgets it.",
)
@_REGISTRY.file("--register-ca", help="Authorities to trust at a zks:// address, instead of the system's.")
@_REGISTRY.file("--register-cert", help="The certificate to show to ZooKeeper.")
@_REGISTRY.file("--register-key", help="Its key, unless it is in the same file.")
@_LOGS.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least that is logged.",
)
@_LOGS.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people, or one JSON object per line.",
)
@_LOGS.file("--log-file", help="Append to a file instead of writing to standard error.")
@_LOGS.option("--access-log/--no-access-log", help="Log each request, with its time and sizes.")
@_OTHER.option(
    "--control",
    metavar="PATH",
    read=parse_control,
    help="A Unix socket for watching and steering the server; auto is one in your runtime folder, none is none.",
)
@_OTHER.option(
    "--health",
    metavar="ADDRESS",
    read=parse_health,
    help="Tell balancers there how the server is: /healthz and /readyz over HTTP, and HAProxy's agent checks. "
    "HOST:PORT or unix:PATH.",
)
@_OTHER.option(
    "--metrics",
    metavar="HOST:PORT",
    read=parse_metrics,
    help="Serve metrics for Prometheus there; needs pip install 'rpcshell[metrics]'.",
)
@_OTHER.option(
    "--reload",
    is_flag=True,
    help="Replace the workers when the app's files change; needs pip install 'rpcshell[reload]'.",
)
@_OTHER.option("--debug", is_flag=True, help="Send clients the tracebacks of failing handlers.")
@_OTHER.file("--config", "-c", help="A TOML file with settings, named like these options: `workers = 10`.")
@_OTHER.action("--config-reference", print_reference, help="Print such a file that explains itself.")
@_OTHER.option(
    "--check",
    is_flag=True,
    help="Import the app, read the certificates, say what would be served where, and start nothing.",
)
@_OTHER.action(
    "--completion",
    _print_completion,
    type=click.Choice(_SHELLS),
    help="Print the completion of this command for a shell.",
)
@_OTHER.action("--man", _show_manual, help="Show the guide to the server, as rpcshell --man server does.")
@_OTHER.option(
    "--link-fd",
    type=click.IntRange(min=0),
    metavar="FD",
    help="A stream socket to the program that started the server: told in JSON lines when it is ready, and "
    "its end stops the server.",
)
@click.version_option(
    None, "-V", "--version", package_name="rpcshell", prog_name="rpcserver", message="%(prog)s %(version)s"
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    config: Path | None,
    check: bool,
    link_fd: int | None,
    log_level: str,
    log_format: str,
    log_file: Path | None,
    **settings: Any,
) -> Invocation:
    """Serve APP to many clients, with worker processes that share the listening sockets.

    APP is module:attribute, path/file.py:attribute or path/file.py (the attribute is then `service`). Without it
    a demo is served.

    Every option can also come from the environment, as RPCSERVER_WORKERS=10, and from a --config file. SIGTERM
    stops the server without losing a call, SIGINT and SIGQUIT at once.
    """
    if settings["tls_cert"] is None and (settings["tls_key"] or settings["tls_client_ca"]):
        raise click.UsageError("a TLS key or authority serves nothing without a certificate: add --tls-cert")
    _check_registration(settings)
    if settings["workers"] is None:
        settings["workers"] = default_workers(concurrent=MODELS[settings["model"]].concurrent)
    return Invocation(ServerSettings(**settings), log_level, log_format, log_file, check)


def _check_registration(settings: Mapping[str, Any]) -> None:
    """Refuse options that belong to a registration that is not asked for."""
    about = [name for name in ("advertise", "register_credentials", *_REGISTRY_TLS) if settings[name] is not None]
    registry = settings["register"]
    if registry is None and about:
        raise click.UsageError(f"--{about[0].replace('_', '-')} is for a registry: add --register zk://HOST:PORT/path")
    if registry is not None and not registry.tls and (files := [name for name in about if name in _REGISTRY_TLS]):
        raise click.UsageError(f"--{files[0].replace('_', '-')} is for TLS: write the registry's address as zks://...")
    if settings["register_key"] and not settings["register_cert"]:
        raise click.UsageError("--register-key is the key of a certificate: add --register-cert")
