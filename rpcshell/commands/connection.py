"""Commands that choose the server to talk to: `:connect` and `:disconnect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rpcshell.commands.registry import TARGET, command
from rpcshell.errors import NotConnected

if TYPE_CHECKING:
    from rpcshell.executor import Shell


@command(
    "connect",
    group="Connection",
    examples=(":connect 8080", ":connect example.org:8080", ":connect unix:/run/calc.sock", ":connect 8080 --plain"),
)
@click.argument("target", type=TARGET)
@click.option("--plain", is_flag=True, help="For servers of the bare protocol: send no probe, no optional keys.")
@click.option("--refresh", is_flag=True, help="Ask what the server offers even if it could not say before.")
def connect(shell: Shell, *, target: str, plain: bool, refresh: bool) -> None:
    """Connect to a server that is running.

    TARGET is host:port, port, [v6]:port, unix:/path or the path of a socket.
    """
    shell.session.connect(target, plain=plain or None, probe_again=refresh)
    shell.output.note(f"connected to {shell.session.target}")


@command("disconnect", group="Connection")
def disconnect(shell: Shell) -> None:
    """Leave the server; one that was spawned here goes on."""
    target = shell.session.target
    if target is None:
        raise NotConnected
    shell.session.disconnect()
    shell.output.note(f"disconnected from {target}")
