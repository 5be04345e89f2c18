"""Connecting a session to a target, and then the lines that the target's configuration has for that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import Cancelled, ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.shell.session import Session
    from rpcshell.shell.shell import Shell

_AGAIN: Final = 0.05
"""Seconds until it is tried again, where a server is about to listen."""


def connect(
    session: Session,
    shell: Callable[[], Shell],
    target: Target | str,
    *,
    plain: bool | None = None,
    probe_again: bool = False,
    tls: TlsFiles | None = None,
) -> None:
    """Connect as `Session.connect` does, and run the target's lines, whose results are not shown.

    They are run again before the first call on a connection that had to be made anew. Who starts a server and the shell
    in one go has the shell wait until the server listens.

    Raises:
        ShellError: As `Session.connect`, or what one of the lines raised; the connection stays.
    """
    began = time.monotonic()
    listening = False
    while True:
        try:
            return session.connect(
                target, plain=plain, probe_again=probe_again, tls=tls, prepare=lambda found: shell().prepare(found)
            )
        except ConnectionFailed as error:
            # Servers that listened before this try do not listen there.
            if listening or not isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError):
                raise
            from rpcshell.servers.starting import PATIENCE, all_listen, just_started

            servers = just_started(error.target)
            if not servers or time.monotonic() - began > PATIENCE:
                raise
            listening = all_listen(servers)
        try:
            time.sleep(0 if listening else _AGAIN)
        except KeyboardInterrupt:
            raise Cancelled("cancelled while connecting") from None
