"""What each conversation of a worker begins with: limits, and what lies between its bytes and its messages."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import msgspec

from rpcserver.system.addresses import NATIVE, WILDCARDS
from rpcwire import PREFIX_SIZE
from rpcwire.framings import FRAMINGS, Framing

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.workers.frame_budget import FrameBudget


class Terms(msgspec.Struct, frozen=True):
    """What all conversations of a worker have in common.

    A connection may come from another process, which has accepted it; so it is its own address that tells the listener.
    """

    settings: ServerSettings
    budget: FrameBudget | None  # what large requests may take of memory, if there is a limit
    tls: ssl.SSLContext | None  # the certificate, where TLS is spoken on TCP addresses
    framings: Mapping[Any, Framing]  # of listeners that have another than the protocol's own, by their addresses

    @classmethod
    def of(
        cls, settings: ServerSettings, budget: FrameBudget, tls: ssl.SSLContext | None, listeners: Sequence[Listener]
    ) -> Terms:
        """Read off the listeners how they are spoken to."""
        named = [listener for listener in listeners if listener.framing != NATIVE]
        return cls(settings, budget, tls, {_key(listener.socket): FRAMINGS[listener.framing] for listener in named})

    def tls_of(self, connection: socket.socket) -> ssl.SSLContext | None:
        """Return the certificate for a connection; on Unix sockets none is needed."""
        return None if connection.family == socket.AF_UNIX else self.tls

    def framing_of(self, connection: socket.socket) -> Framing | None:
        """Return the framing of a connection where it is not the protocol's own."""
        if not self.framings:
            return None
        key = _key(connection)
        found = self.framings.get(key)
        if found is None and connection.family != socket.AF_UNIX:
            # The listener may be one for every address of the machine.
            found = next((self.framings[host, key[1]] for host in WILDCARDS if (host, key[1]) in self.framings), None)
        return found


def reframed(replies: Sequence[bytes | memoryview], framing: Framing) -> list[bytes]:
    """Frame whole replies, which come in the protocol's own framing, in another one."""
    return [framing.frame(bytes(reply[PREFIX_SIZE:])) for reply in replies if reply]


def _key(opened: socket.socket) -> Any:
    """What a listener and its connections have in common."""
    name = opened.getsockname()
    return name if opened.family == socket.AF_UNIX else name[:2]
