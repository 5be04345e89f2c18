"""Commands that choose the server to talk to: `:connect` and `:disconnect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import NotConnected
from rpcshell.shell.command import TARGET, command

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell


_FILE: Final = click.Path(exists=True, dir_okay=False)


@command(
    "connect",
    group="Connection",
    examples=(
        ":connect 8080",
        ":connect prod",
        ":connect unix:/run/calc.sock",
        ":connect tls://rpc.example.org:8443 --tls-ca ca.pem",
        ":connect 8080 --plain",
    ),
)
@click.argument("target", type=TARGET)
@click.option("--plain", is_flag=True, help="For servers of the bare protocol: send no probe, no optional keys.")
@click.option("--refresh", is_flag=True, help="Ask what the server offers even if it could not say before.")
@click.option("--tls-ca", type=_FILE, help="The authorities to trust, instead of the system's.")
@click.option("--tls-cert", type=_FILE, help="The certificate to show to the server.")
@click.option("--tls-key", type=_FILE, help="Its key, where that is another file.")
def connect(
    shell: Shell,
    *,
    target: str,
    plain: bool,
    refresh: bool,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
) -> None:
    """Connect to a server that is running.

    TARGET is host:port, port, [v6]:port, unix:/path, the path of a socket, tls://host:port, or a name of the
    configuration.
    """
    tls = None
    if not tls_ca is tls_cert is tls_key is None:
        from rpcshell.client.tls import TlsFiles

        tls = TlsFiles(tls_ca, tls_cert, tls_key)
    shell.session.connect(target, plain=plain or None, probe_again=refresh, tls=tls)
    name, where = shell.session.name, shell.session.target
    shell.output.note(f"connected to {where if name == str(where) else f'{name} ({where})'}")


@command("disconnect", group="Connection")
def disconnect(shell: Shell) -> None:
    """Leave the server; one that was spawned here goes on."""
    target = shell.session.target
    if target is None:
        raise NotConnected
    shell.session.disconnect()
    shell.output.note(f"disconnected from {target}")
