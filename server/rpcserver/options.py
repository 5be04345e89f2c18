"""The options of the `rpcserver` command: their names, defaults, bounds and help.

Reading other sources than the command line, and running what is asked for, is `cli`'s business.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from rpcserver.completion import SHELLS, print_completion
from rpcserver.config_reference import print_reference
from rpcserver.grouped_help import GroupedCommand, GroupedOption
from rpcserver.manual import show_manual
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

ENVIRONMENT: Final = "RPCSERVER"
"""What the names of environment variables begin with."""

_DEFAULTS: Final = ServerSettings()


class Invocation(msgspec.Struct, frozen=True):
    """What the command line and the other sources ask for."""

    settings: ServerSettings
    log_level: str
    log_format: str
    log_file: Path | None
    check: bool = False
    """Whether nothing is to be started."""


def _option(*names: str, group: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an option. Unless another one is given, its default is that of the setting with its name."""
    default = getattr(_DEFAULTS, names[0].partition("/")[0].removeprefix("--").replace("-", "_"), None)
    if default is not None:
        attributes = {"default": default, "show_default": not isinstance(default, bool), **attributes}
    return click.option(*names, cls=GroupedOption, group=group, **attributes)


_SECONDS: Final = click.FloatRange(min=0, max=31_536_000)


def _seconds(name: str, *, group: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: A002 - click's word
    return _option(name, group=group, type=_SECONDS, callback=_read_by(checked_seconds), metavar="S", help=help)


def _count(
    name: str,
    *,
    group: str,
    least: int = 1,
    most: int = 1_000_000,
    help: str,  # noqa: A002 - as above
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return _option(name, group=group, type=click.IntRange(least, most), metavar="N", help=help)


def _file(name: str, *, group: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: A002 - as above
    return _option(name, group=group, type=click.Path(path_type=Path), metavar="PATH", help=help)


def _read_by(parse: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Make a callback that converts an option's text, or each of its texts."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        try:
            return tuple(parse(text) for text in value) if isinstance(value, tuple) else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


_REGISTRY_TLS: Final = ("register_ca", "register_cert", "register_key")
_LISTEN: Final = "Listening"
_TLS: Final = "TLS (files in PEM form; read again when the server reloads)"
_WORKERS: Final = "Workers"
_LIMITS: Final = "Limits (seconds; 0 is no limit)"
_STOP: Final = "Stopping"
_REGISTRY: Final = "Registration (for clients of many machines; needs pip install 'rpcshell[zookeeper]')"
_LOGS: Final = "Logs"
_OTHER: Final = "Other"


@click.command(
    "rpcserver",
    cls=GroupedCommand,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.argument("app", required=False, type=click.Path(), envvar=f"{ENVIRONMENT}_APP")
@_option(
    "--bind",
    "-b",
    group=_LISTEN,
    multiple=True,
    metavar="ADDRESS",
    default=[str(bind) for bind in _DEFAULTS.bind],
    callback=_read_by(parse_bind),
    help="HOST:PORT, [IPV6]:PORT, unix:PATH or unix:@NAME, or with a framing for JSON-RPC, as in line+tcp://HOST:PORT; "
    "may be repeated. Port 0 takes a free one.",
)
@_count("--backlog", group=_LISTEN, most=65535, help="How many connections may wait to be accepted.")
@_option(
    "--unix-mode",
    group=_LISTEN,
    metavar="MODE",
    default=f"{_DEFAULTS.unix_mode:o}",
    callback=_read_by(parse_mode),
    help="Permissions of the paths of Unix sockets.",
)
@_option(
    "--proxy-protocol",
    group=_LISTEN,
    metavar="FROM",
    callback=_read_by(parse_proxies),
    help="Take clients' addresses from the PROXY headers (v1 or v2) that these proxies must send: addresses, networks "
    "and unix, with commas between them.",
)
@_file("--tls-cert", group=_TLS, help="The server's certificate, its issuers' after it: speak TLS on TCP addresses.")
@_file("--tls-key", group=_TLS, help="The certificate's key, unless it is in the same file.")
@_file("--tls-client-ca", group=_TLS, help="Certificates of authorities: serve only clients that show one of theirs.")
@_option(
    "--workers",
    "-w",
    group=_WORKERS,
    type=click.IntRange(1, 1000),
    metavar="N",
    default=None,
    show_default="one a processor; in model sync twice as many and one, at least 4",
    help="How many worker processes to keep. Model sync needs as many as there are clients at once; in the others one "
    "a processor is best, as each serves many.",
)
@_option(
    "--model",
    "-m",
    group=_WORKERS,
    type=click.Choice(list(MODELS)),
    help="How a worker serves connections. sync: one at a time, for few clients; thread: a thread each; pool: --threads"
    " for any number of them; fork: a process each; async: on an event loop, the fastest with many clients.",
)
@_option(
    "--preload",
    group=_WORKERS,
    is_flag=True,
    help="Import the app once, in a process that forks the workers: they share its memory, and start in milliseconds. "
    "What does not survive a fork, such as a connection, belongs in @service.on_worker_start.",
)
@_seconds("--start-timeout", group=_WORKERS, help="How long a worker may take to load the app; 0 is no limit.")
@_count("--threads", group=_WORKERS, help="Models pool and async: threads for handlers, in each worker.")
@_count("--queue", group=_WORKERS, help="Model pool: requests that wait, in each worker.")
@_count("--max-children", group=_WORKERS, help="Model fork: processes of each worker.")
@_count("--max-requests", group=_WORKERS, least=0, help="Replace a worker after that many requests; 0 is never.")
@_count("--max-requests-jitter", group=_WORKERS, least=0, help="And up to that many more, at random.")
@_seconds(
    "--reclaim-idle",
    group=_WORKERS,
    help="While clients wait in vain, a connection that is silent, or slow, for so long loses its place, or else "
    "one that is in use and has lasted so long, where its client heeds `close`; 0 is never.",
)
@_seconds("--timeout", group=_LIMITS, help="For a handler to finish a request.")
@_count("--max-connections", group=_LIMITS, help="Open connections of each worker; one of model sync has one.")
@_option(
    "--max-frame",
    group=_LIMITS,
    metavar="SIZE",
    default="16M",
    callback=_read_by(parse_size),
    help="The largest request. How deeply its JSON may be nested is the interpreter's to say: 1,000 levels or more.",
)
@_option(
    "--max-buffered",
    group=_LIMITS,
    metavar="SIZE",
    default="256M",
    callback=_read_by(parse_budget),
    help="What a worker holds of large requests, one --max-frame at least; more are answered busy. 0 is no limit.",
)
@_seconds("--idle-timeout", group=_LIMITS, help="Silence between requests.")
@_seconds(
    "--max-connection-age",
    group=_LIMITS,
    help="Age at which a connection ends between two calls, or up to a fifth sooner, to be balanced anew.",
)
@_seconds("--read-timeout", group=_LIMITS, help="From a request's first byte to its last, and to the first request.")
@_seconds("--write-timeout", group=_LIMITS, help="For a client to take the next 64 KiB of a reply.")
@_seconds("--drain-timeout", group=_STOP, help="How long workers may take to finish before they are killed.")
@_seconds(
    "--drain-grace", group=_STOP, help="How long an idle client that does not know `close` has for one last request."
)
@_option(
    "--drain-settle",
    group=_STOP,
    type=_SECONDS,
    callback=_read_by(checked_seconds),
    metavar="S",
    show_default="0, or 0.3 with --register",
    help="How long SIGTERM leaves everything as it is, but for --health, so that balancers hear of it first.",
)
@_option(
    "--register",
    group=_REGISTRY,
    metavar="URL",
    callback=_read_by(parse_registry),
    help="Keep this server in ZooKeeper while it is ready: zk://HOST:PORT,HOST:PORT/path, or zks:// for TLS.",
)
@_option(
    "--advertise",
    group=_REGISTRY,
    metavar="HOST[:PORT]",
    callback=_read_by(parse_advertised),
    show_default="where it listens",
    help="As what: where clients on other machines connect to.",
)
@_file(
    "--register-credentials",
    group=_REGISTRY,
    help="A TOML file that nobody else may read: user, password and, as zkCli writes it, acl.",
)
@_option(
    "--register-session",
    group=_REGISTRY,
    type=click.FloatRange(min=1, max=3600),
    callback=_read_by(checked_seconds),
    metavar="S",
    help="How long ZooKeeper waits for a server that is silent before it forgets it.",
)
@_file("--register-ca", group=_REGISTRY, help="Authorities to trust at a zks:// address, instead of the system's.")
@_file("--register-cert", group=_REGISTRY, help="The certificate to show to ZooKeeper.")
@_file("--register-key", group=_REGISTRY, help="Its key, unless it is in the same file.")
@_option(
    "--log-level",
    group=_LOGS,
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least that is logged.",
)
@_option(
    "--log-format",
    group=_LOGS,
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people, or one JSON object per line.",
)
@_file("--log-file", group=_LOGS, help="Append to a file instead of writing to standard error.")
@_option("--access-log/--no-access-log", group=_LOGS, help="Log each request, with its time and sizes.")
@_option(
    "--control",
    group=_OTHER,
    metavar="PATH",
    callback=_read_by(parse_control),
    help="A Unix socket for watching and steering the server; auto is one in your runtime folder, none is none.",
)
@_option(
    "--health",
    group=_OTHER,
    metavar="ADDRESS",
    callback=_read_by(parse_health),
    help="Tell balancers there how the server is: /healthz and /readyz over HTTP, and HAProxy's agent checks. "
    "HOST:PORT or unix:PATH.",
)
@_option(
    "--metrics",
    group=_OTHER,
    metavar="HOST:PORT",
    callback=_read_by(parse_metrics),
    help="Serve metrics for Prometheus there; needs pip install 'rpcshell[metrics]'.",
)
@_option(
    "--reload",
    group=_OTHER,
    is_flag=True,
    help="Replace the workers when the app's files change; needs pip install 'rpcshell[reload]'.",
)
@_option("--debug", group=_OTHER, is_flag=True, help="Send clients the tracebacks of failing handlers.")
@_option(
    "--config",
    "-c",
    group=_OTHER,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A TOML file with settings, named like these options: `workers = 10`.",
)
@_option(
    "--config-reference",
    group=_OTHER,
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=print_reference,
    help="Print such a file that explains itself.",
)
@_option(
    "--check",
    group=_OTHER,
    is_flag=True,
    help="Import the app, read the certificates, say what would be served where, and start nothing.",
)
@_option(
    "--completion",
    group=_OTHER,
    type=click.Choice(SHELLS),
    expose_value=False,
    is_eager=True,
    callback=print_completion,
    help="Print the completion of this command for a shell.",
)
@_option(
    "--man",
    group=_OTHER,
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=show_manual,
    help="Show the guide to the server, as rpcshell --man server does.",
)
@_option(
    "--link-fd",
    group=_OTHER,
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
