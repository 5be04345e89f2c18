"""Commands that start, stop, find, watch and choose servers, from `:spawn` to `:connect`."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Final

import click
import msgspec
from msgspec.structs import replace

from rpcshell.client.dialect_names import names_dialect
from rpcshell.client.errors import NotConnected, ShellError, UsageError
from rpcshell.client.target import ChildTarget, Target, TlsFiles
from rpcshell.commands.fleet import instances_as_json, show_instances, show_workers
from rpcshell.commands.groups import LOOK, RUN_A_SERVER, TALK
from rpcshell.commands.worker_table import WORKER_SPARE, server_line, worker_row
from rpcshell.servers.directory import SilentServer, ask_local_servers, sorted_servers
from rpcshell.servers.listeners import is_on_this_machine
from rpcshell.servers.silence import go_on, stands_still
from rpcshell.servers.spawn import SpawnOptions
from rpcshell.shell.command import TARGET, KindOfWord, command
from rpcshell.shell.connect import connect as connect_session
from rpcshell.shell.discovery import introduction
from rpcshell.shell.leaving import told_while_leaving
from rpcshell.shell.spawning import described_server, start_server
from rpcshell.shell.supervisor import require_yes
from rpcshell.view.escape import visible
from rpcshell.view.table import Figure
from rpcshell.view.units import count_of, duration
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.shell.address_book import AddressBook
    from rpcshell.shell.shell import Shell

_FILE: Final = click.Path(exists=True, dir_okay=False)

_INTRODUCTION: Final = 0.3
"""Seconds that a server has to say what it is, before the prompt comes without that."""

_LISTING_TIMEOUT: Final = 2.0
"""Seconds that a server has to say what it is, before those are listed that have."""


@command(
    "spawn",
    group=RUN_A_SERVER,
    examples=(
        ":spawn 10",
        ":spawn 4 calc.py",
        ":spawn calc.py:service --bind 127.0.0.1:8080 --keep",
        ":spawn 10 calc.py --preload",
        ":spawn 10 --register zk://127.0.0.1:2181/services/calc",
    ),
)
@click.argument("workers", metavar="[N]", type=KindOfWord("path"), required=False)
@click.argument("app", type=KindOfWord("path"), required=False)
@click.option("-m", "--model", type=click.Choice(list(MODELS)), help="How a worker serves its connections.")
@click.option("-b", "--bind", multiple=True, metavar="ADDRESS", help="Where to listen, instead of a free port here.")
@click.option("--preload", is_flag=True, help="Import the app once, and fork the workers from there.")
@click.option("--max-buffered", metavar="SIZE", help="What each worker holds of large requests, such as 64M.")
@click.option("--max-connection-age", metavar="S", help="Seconds after which a connection ends between two calls.")
@click.option("--health", metavar="ADDRESS", help="Where balancers ask how the server is, such as 127.0.0.1:8081.")
@click.option("--drain-settle", metavar="S", help="Seconds that they have to hear of its stop.")
@click.option(
    "--proxy-protocol", metavar="FROM", help="Proxies that must say for whom they connect, such as 10.0.0.0/8."
)
@click.option("--register", metavar="URL", help="Where clients find it, such as zk://127.0.0.1:2181/services/calc.")
@click.option("--advertise", metavar="HOST[:PORT]", help="As what, where that is not where it listens.")
@click.option("--register-credentials", metavar="FILE", help="By whom: a file with user and password.")
@click.option("--keep", is_flag=True, help="Leave the server running when the shell is left.")
def spawn(
    shell: Shell,
    *,
    workers: str | None,
    app: str | None,
    model: str | None,
    bind: tuple[str, ...],
    keep: bool,
    preload: bool,
    **passed_on: str | None,
) -> None:
    """Start a server and connect to it.

    It has N workers, by default as many as suit the model, and ends with the shell.

    APP is what it serves: file.py, file.py:attribute or module:attribute. Without one it serves a demo, with a
    method for everything there is to try.
    """
    running = shell.session.server
    if running is not None and running.poll() is None:
        raise UsageError(f"a server is running already: {described_server(running)}", hint=":stop ends it")
    if workers is not None and not workers.isdecimal():
        if app is not None:
            raise UsageError(f"N is a number of workers, not {workers!r}", hint=":spawn 10 calc.py")
        workers, app = None, workers
    count = int(workers) if workers else None
    given = {f"--{name.replace('_', '-')}": value for name, value in passed_on.items() if value is not None}
    extra = (*(("--preload",) if preload else ()), *itertools.chain.from_iterable(given.items()))
    start_server(shell.session, shell.output, SpawnOptions(count, app, model, bind or SpawnOptions().bind, keep, extra))


@command("stop", group=RUN_A_SERVER)
@click.option("-y", "--yes", is_flag=True, help="Do not ask, whichever server the prompt is at.")
def stop(shell: Shell, *, yes: bool) -> None:
    """Stop the server that was spawned here.

    It answers first what it is working on. Ctrl-C hurries it. Where the prompt is at another server, you are asked.
    """
    session = shell.session
    server, target = session.server, session.target
    if server is None:
        raise UsageError("no server was spawned here", hint=":spawn 10 starts one")
    named = f"{described_server(server)}, pid {server.pid}"
    if not yes and target is not None and session.spawned_at(target) is None:
        ask = shell.output.text if shell.interactive else None
        require_yes(f"the prompt is at {target}, which was not started by this shell", f"stop {named}", ask=ask)
    with told_while_leaving(session, shell.output.progress):
        session.stop()
    shell.output.note(f"stopped: {named}")


@command("workers", group=LOOK)
def workers(shell: Shell) -> None:
    """Show the server's workers and what each of them does.

    It works for a server of yours on this machine, and for those instances of a fleet that are such. A worker's call
    is what it runs now, and since when; busy is the share of the last seconds that it spent in calls. One is stalled
    whose process is stopped or whose loop is blocked.
    """
    if shell.session.fleet is not None:
        show_workers(shell, shell.session.fleet)
        return
    with shell.supervisor.control() as control:
        status = control.status()
    rows = [worker_row(worker, status) for worker in status.workers]
    shell.show_table(rows, status.workers, spare=WORKER_SPARE)
    shell.output.note(server_line(status))


@command("servers", group=LOOK)
def servers(shell: Shell) -> None:
    """List your servers, and the instances of a fleet.

    Yours are those on this machine. An instance that fails is ejected: it gets no calls for a while, and then is looked
    at again. The latency is what half of this session's calls took there at most. Where instances offer different
    things, those that offer the same have the same letter.
    """
    fleet, told = shell.session.fleet, list(ask_local_servers(_LISTING_TIMEOUT))
    found = sorted_servers(told)
    silent = sorted({(one.pid, one.stopped) for one in told if isinstance(one, SilentServer)})
    if fleet is not None:
        if shell.for_programs:
            own = [msgspec.to_builtins(server) for server in found]
            shell.output.value("", {"instances": instances_as_json(shell, fleet), "servers": own})
            return
        show_instances(shell, fleet)
        _tell_of_mute(shell, silent)
        if not found:
            return
        shell.output.text("\nyour servers on this machine:")
    elif not _tell_of_mute(shell, silent) and not found:
        shell.output.note("no server of yours runs on this machine; :spawn 10 starts one")
    if not found:
        return
    shell.show_table(
        [
            {
                "pid": server.status.pid,
                "listens": ", ".join(server.addresses),
                "app": server.status.app or "the demo",
                "model": server.status.model,
                "workers": len(server.status.workers),
                "calls": server.status.totals.calls,
                "up": Figure(duration(server.status.uptime)),
            }
            for server in found
        ],
        found,
        spare=("calls", "up", "model", "app"),
    )


def _tell_of_mute(shell: Shell, silent: Sequence[tuple[int, bool]]) -> bool:
    """Name the servers that do not tell what they are, or stand still, and say whether there are such."""
    for pid, stopped in silent:
        if stopped:
            shell.output.note(f"a server {stands_still(pid)}; {go_on(pid)}")
        else:
            shell.output.note(f"a server says nothing within {_LISTING_TIMEOUT:g} s: its process is {pid}")
    return bool(silent)


@command(
    "connect",
    group=TALK,
    former=("attach",),
    examples=(
        ":connect 8080",
        ":connect prod",
        ":connect unix:/run/calc.sock",
        ":connect tls://rpc.example.org:8443 --tls-ca ca.pem",
        ":connect jsonrpc+line:unix:/run/api.sock",
        ":connect jsonrpc+line -- api-server --stdio",
        ":connect 8080 --plain",
    ),
)
@click.argument("target", metavar="TARGET", type=TARGET, nargs=-1, required=True)
@click.option("--plain", is_flag=True, help="For servers of the bare protocol: send no probe, no optional keys.")
@click.option("--refresh", is_flag=True, help="Ask what the server offers even if it could not say before.")
@click.option("--tls-ca", type=_FILE, help="The authorities to trust, instead of the system's.")
@click.option("--tls-cert", type=_FILE, help="The certificate to show to the server.")
@click.option("--tls-key", type=_FILE, help="Its key, where that is another file.")
def connect(
    shell: Shell,
    *,
    target: tuple[str, ...],
    plain: bool,
    refresh: bool,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
) -> None:
    """Connect to a server that is running.

    TARGET is host:port, port, [v6]:port, unix:/path, the path of a socket, tls://host:port, or a name of the
    configuration. A server of yours on this machine is also found by its process id or its control socket. Where
    something else than rpcshell's own protocol is spoken, its dialect stands before it. What follows exec:, or a
    dialect and --, is the command of a child, to its end.
    """
    if len(target) == 1 and shell.supervisor.names_server(target[0]):
        shell.output.note(server_line(shell.supervisor.attach(target[0]).status))
        return
    tls = None
    if not tls_ca is tls_cert is tls_key is None:
        tls = TlsFiles(tls_ca, tls_cert, tls_key)
    found = _target_of(target, shell.session.book)
    connect_session(shell.session, lambda: shell, found, plain=plain or None, probe_again=refresh, tls=tls)
    name, where = shell.session.name, shell.session.target
    named = f"connected to {where if name == str(where) else f'{name} ({where})'}"
    shell.output.note(" · ".join([named, *_what_is_known(shell)]))


def _what_is_known(shell: Shell) -> Iterator[str]:
    """Who answers at the target, how much there is to call, and how many workers do, as far as that is known by now."""
    session = shell.session
    if not shell.interactive or session.target is None:
        return
    deadline = time.monotonic() + _INTRODUCTION
    while session.discovering and time.monotonic() < deadline:
        time.sleep(0.01)
    _, *about = introduction("", session.catalog)
    yield from map(visible, about)
    if session.fleet is not None:
        yield count_of(len(session.fleet.instances), "instance")
    elif is_on_this_machine(session.target):
        with (
            contextlib.suppress(ShellError),
            shell.supervisor.control(timeout=_INTRODUCTION, search=_INTRODUCTION) as control,
        ):
            status = control.status()
            yield visible(count_of(len(status.workers), f"{status.model} worker"))


def _target_of(words: tuple[str, ...], book: AddressBook) -> Target | str:
    """What is to be connected to; several words are a child's."""
    first, *rest = words
    if not rest:
        return first
    if names_dialect(first, book.dialects):
        return ChildTarget(tuple(rest), dialect=first)
    target = book.find(first).target
    # A name of the configuration is one of a whole command.
    if not isinstance(target, ChildTarget) or "exec:" not in first:
        raise UsageError(f"{first} and {rest[0]} are two targets", hint=":connect takes one")
    return replace(target, argv=(*target.argv, *rest))


@command("disconnect", group=TALK)
def disconnect(shell: Shell) -> None:
    """Leave the server; one that was spawned here goes on."""
    if (target := shell.session.target) is None:
        raise NotConnected
    shell.session.disconnect()
    server = shell.session.spawned_at(target)
    goes_on = server is not None and server.poll() is None
    back = f", which goes on: :connect {target} goes back, :stop ends it" if goes_on else ""
    shell.output.note(f"disconnected from {target}{back}")
