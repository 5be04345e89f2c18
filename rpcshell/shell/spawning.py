"""Starting the server of a session, and how it is told of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rpcshell.shell.elapsed import elapsed_text, told_while
from rpcshell.view.escape import visible
from rpcshell.view.units import count_of, in_seconds

if TYPE_CHECKING:
    from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
    from rpcshell.shell.output import Output
    from rpcshell.shell.session import Session


def start_server(session: Session, output: Output, options: SpawnOptions) -> None:
    """Start a server, connect to it and say where it is, and how to get back to where the prompt was.

    Raises:
        ShellError: As of `Session.spawn`.
    """
    former = session.name if session.spawned_at(session.target) is None else None
    began = time.monotonic()
    with told_while(elapsed_text("starting the server"), output.progress):
        server = session.spawn(options)
    output.text(f"{described_server(server)} in {in_seconds(time.monotonic() - began)}")
    if former is not None:
        back = f"{visible(former)} was left, and :connect {visible(former)} goes back"
        output.note(f"it is a server of rpcshell's own; {back}")


def described_server(server: SpawnedServer) -> str:
    """How many workers it has, of which model, and where it listens."""
    return f"{count_of(server.workers, 'worker')} ({visible(server.model)}) on {visible(', '.join(server.addresses))}"
