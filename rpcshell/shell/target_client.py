"""The connection to a target, not made yet, and its client: what configuration, options and settings make of them.

Where nobody has said what the target speaks, there is who finds it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from rpcshell.client.any_client import CONNECT_TIMEOUT, DETECTION_CONNECT_TIMEOUT
from rpcshell.client.dialect_names import dialect_name
from rpcshell.client.opening import client_of
from rpcshell.client.target import ChildTarget, FleetTarget, TlsFiles
from rpcshell.shell.dialect_finder import DialectFinder
from rpcshell.shell.target_connection import TargetConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rpcshell.client.client import Client
    from rpcshell.client.hearing import RequestHandler
    from rpcshell.client.target import Target
    from rpcshell.servers.target_memory import TargetMemory
    from rpcshell.shell.address_book import Destination
    from rpcshell.shell.listeners import Reports

_START_TIMEOUT: Final = 60.0
"""Seconds for a child to start and to greet: what runs it may have to fetch it first."""


def connection_to(
    where: Destination,
    memory: Callable[[], TargetMemory] | None,
    reports: Reports,
    *,
    plain: bool,
    tls: Sequence[TlsFiles | None],
    limit: float | None,
    prepare: Callable[[Destination], object] | None = None,
) -> TargetConnection:
    """A connection to a target, not made yet; a `plain` one carries only a method and its params.

    The files of TLS go before each other, and before the target's own. The limit is seconds that the user gives a call,
    and making the connection, or None for the usual. `prepare` makes the calls that come first on each new connection.

    Raises:
        ConnectionFailed: Nobody has said what a URL speaks, and it cannot be connected to.
        ProtocolError: The same, and what is there is nothing to talk to.
    """
    files = TlsFiles().before(*filter(None, (*tls, where.config.tls)))
    # A fleet is called in the native protocol only.
    if where.named or plain or isinstance(where.target, ChildTarget | FleetTarget):
        client = _client_for(where, plain=plain, tls=files, limit=limit)
        return TargetConnection(client, memory, where, prepare, reports)
    finder = DialectFinder(where.target, memory, files, reports.note, where.dialects)
    if not finder.remembered:
        limit = DETECTION_CONNECT_TIMEOUT if limit is None else min(limit, DETECTION_CONNECT_TIMEOUT)

    def client_at(target: Target) -> Client:
        return _client_for(replace(where, target=target), plain=plain, tls=files, limit=limit)

    return TargetConnection(client_at(finder.target), memory, where, prepare, reports, finder, client_at)


def _client_for(where: Destination, *, plain: bool, tls: TlsFiles, limit: float | None) -> Client:
    usual = _START_TIMEOUT if isinstance(where.target, ChildTarget) else CONNECT_TIMEOUT
    timeout = usual if limit is None else min(limit, usual)
    answers: Mapping[str, RequestHandler] = {}
    if where.config.sampling:
        from rpcshell.shell.sampling import sampling_by

        answers = sampling_by(where.config.sampling)
    return client_of(
        where.target,
        connect_timeout=timeout,
        plain=plain,
        floats="text",
        tls=tls,
        openrpc=where.config.openrpc,
        answers=answers,
        options=where.config.options,
        dialect=where.dialects.get(dialect_name(where.target.dialect)),
    )
