"""A transport and a dialogue: what is to be done when the descriptor can be read or written, whoever waits for that."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from rpcshell.client.dialling import NAP, acknowledge, seconds_asleep
from rpcshell.client.dialogue import MOST_UNSENT
from rpcshell.client.errors import TlsFailed
from rpcshell.client.target import ChildTarget, UnixTarget
from rpcshell.client.transport import why_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.dialogue import Dialogue
    from rpcshell.client.trace import Ends
    from rpcshell.client.transport import Transport

__all__ = ["Pump"]

_READ: Final = 256 * 1024
_WRITE: Final = 64 * 1024
_READS: Final = 4
"""Reads after which others have their turn, where a server does not pause."""


class Pump:
    """Moves bytes between a transport and a dialogue, as far as that goes without waiting.

    Attributes:
        on_data: Is told what each read brought, before it is understood.
    """

    def __init__(self, transport: Transport, dialogue: Dialogue) -> None:
        self.transport = transport
        self.dialogue = dialogue
        self.on_data: Callable[[bytes], None] | None = None
        self._asleep = seconds_asleep()

    @property
    def fresh(self) -> bool:
        """Whether the machine has not slept since it was made; what leads off the machine may be gone after that."""
        return isinstance(self.dialogue.target, ChildTarget | UnixTarget) or seconds_asleep() - self._asleep <= NAP

    @property
    def wants_to_read(self) -> bool:
        """Whether more may be read."""
        return self.dialogue.failure is None and len(self.dialogue.unsent) < MOST_UNSENT

    @property
    def wants_to_write(self) -> bool:
        """Whether there is something to send."""
        return self.dialogue.failure is None and bool(self.dialogue.unsent)

    def read(self) -> None:
        """Read what is there."""
        dialogue = self.dialogue
        for _ in range(_READS):
            if not self.wants_to_read:
                return
            try:
                data = self.transport.recv(_READ)
            except BlockingIOError:
                break
            except TlsFailed as error:
                dialogue.end(error)
                return
            except OSError as error:
                dialogue.ended(error, why_ended(self.transport))
                return
            if not data:
                dialogue.ended(why=why_ended(self.transport))
                return
            if self.on_data is not None:
                self.on_data(data)
            dialogue.receive(data)
        stream = self.transport
        if dialogue.dialect.mid_frame and isinstance(stream, socket.socket) and stream.family != socket.AF_UNIX:
            acknowledge(stream)

    def write(self) -> None:
        """Send what there is room for."""
        dialogue = self.dialogue
        while self.wants_to_write:
            # A copy, since what was refused for now has to be given to TLS again as it was.
            data = memoryview(bytes(dialogue.unsent[:_WRITE]))
            try:
                dialogue.sent(self.transport.send(data))
            except BlockingIOError:
                return
            except OSError:
                # Why comes to whoever reads next, for which there must not be too much unsent.
                dialogue.lose_unsent()
                return

    def hand_out(self) -> None:
        """Give everybody what has come for them, in the order in which it came."""
        for give, what in self.dialogue.arrived():
            give(what)

    def ends(self) -> Ends | None:
        """The addresses of both ends, or None where there are none."""
        if not isinstance(self.transport, socket.socket):
            return None
        try:
            return self.transport.getsockname(), self.transport.getpeername()
        except OSError:
            return None
