"""The client of a target: what its configuration, the options and the settings make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.target import ChildTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.client.client import Client
    from rpcshell.client.hearing import RequestHandler
    from rpcshell.client.target import TlsFiles
    from rpcshell.shell.address_book import Destination

__all__ = ["client_for"]

_START_TIMEOUT: Final = 60.0
"""Seconds for a child to start and to greet: what runs it may have to fetch it first."""


def client_for(where: Destination, *, plain: bool, tls: Sequence[TlsFiles | None], limit: float | None) -> Client:
    """A client of a target, not connected yet.

    Args:
        where: The target, and what it offers where it cannot say.
        plain: Whether requests carry only a method and its params.
        tls: The files that the target is verified with, and those that it is shown; they go before each other, and
            before the target's own.
        limit: Seconds that the user gives a call, and making the connection, or None for the usual.
    """
    # The first prompt needs no socket.
    from rpcshell.client.any_client import CONNECT_TIMEOUT
    from rpcshell.client.client import Client

    given = [files for files in (*tls, where.tls) if files is not None]
    files = given[0].before(*given[1:]) if given else None
    usual = _START_TIMEOUT if isinstance(where.target, ChildTarget) else CONNECT_TIMEOUT
    timeout = usual if limit is None else min(limit, usual)
    answers: dict[str, RequestHandler] = {}
    if where.sampling:
        from rpcshell.client.dialects.mcp_requests import SAMPLING
        from rpcshell.shell.sampling import sampling_by

        answers[SAMPLING] = sampling_by(where.sampling)
    return Client(
        where.target,
        connect_timeout=timeout,
        plain=plain,
        floats="text",
        tls=files,
        openrpc=where.openrpc,
        answers=answers,
        options=where.options,
    )
