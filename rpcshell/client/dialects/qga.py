"""QEMU's guest agent (https://www.qemu.org/docs/master/interop/qemu-ga-ref.html), over a socket or a serial port.

Nobody tells either side of a serial port that the other one has changed: what an earlier client has left is told apart
by `guest-sync-delimited`, which both sides begin with a byte that no JSON has. The agent tells the names of its
commands and nothing of their params, which are in `qga.json`. It runs one after another, and ends none early.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.dialects import Ask, Description, Event, HandshakeFailed, Hear, Message, Steps, Tell
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcshell.client.dialects.method_tables import ShippedMethod, as_openrpc, method_table
from rpcshell.client.dialects.qmp import Qapi
from rpcshell.client.dialects.recognition import Guess, Recognition, first_object
from rpcshell.client.dialects.steps import DESCRIPTION_TIMEOUT, granted
from rpcshell.client.errors import CallTimeout
from rpcwire.framings import FRAMINGS

if TYPE_CHECKING:
    from rpcwire import Floats

SYNC_TIMEOUT: Final = 3.0
"""Seconds that an agent has to answer at first."""

_DELIMITER: Final = b"\xff"
_SYNC: Final = "guest-sync-delimited"
_SILENT: Final = frozenset(("guest-shutdown", "guest-suspend-disk", "guest-suspend-ram", "guest-suspend-hybrid"))
"""Commands that answer only where they fail."""


class GuestAgent(Qapi):
    """An agent in a machine."""

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """An error about what another dialect has asked; a monitor would have greeted before it."""
        error = as_mapping(first_object(first, "stream").get("error"))
        return Recognition("qga") if {"class", "desc"} <= error.keys() else None

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._max_reply = max_reply
        self._delimited = False
        self._synced = False

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A command; one that may not answer is followed by a ping, whose reply then stands for its own."""
        call = super().encode_call(method, params, meta=meta, plain=plain, number=number)
        return call + self.encode(self.command("guest-ping", None, id=number)) if method in _SILENT else call

    def receive(self, data: bytes) -> None:
        """Add what a read brought; what comes before a delimiter is for an earlier client."""
        _, delimiter, rest = data.rpartition(_DELIMITER)
        if delimiter:
            self._delimited = True
            self._decoder = FRAMINGS[self.framing].decoder(self._max_reply)
        if self._delimited:
            super().receive(rest)

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; before both sides are in step only what an agent is asked for that may be heard."""
        if self._synced:
            yield from super().read(message)
        elif "return" in message:
            yield Event(_SYNC, message["return"])

    def hello(self) -> Steps[None]:
        """Get in step with the agent."""
        token = getrandbits(31)
        yield Tell(_DELIMITER + self.encode(self.command(_SYNC, {"id": token})))
        try:
            while True:
                heard: Event = yield Hear(timeout=SYNC_TIMEOUT)
                if heard.params == token:
                    break
        except CallTimeout:
            raise HandshakeFailed(
                f"the agent did not answer within {SYNC_TIMEOUT:g} s",
                "does qemu-ga run in the guest? another client, libvirt perhaps, may hold the connection",
            ) from None
        self._synced = True

    def describe(self) -> Steps[Description]:
        """Ask for the names of the commands; those that are switched off are said to be."""
        told = as_mapping((yield from granted(Ask("guest-info", timeout=DESCRIPTION_TIMEOUT))))
        named = [one for one in as_list(told.get("supported_commands")) if isinstance(as_mapping(one).get("name"), str)]
        return Description.of_methods(map(_method, named), "QEMU guest agent", as_text(told.get("version")), "command")


def _method(command: dict[str, Any]) -> dict[str, Any]:
    name = command["name"]
    # A newer agent may have other commands, and params.
    method = as_openrpc(method_table("qga").methods.get(name) or ShippedMethod(name, "", more=True))
    switched_off = {"summary": "switched off in the guest"} if command.get("enabled") is False else {}
    return {**method, **switched_off, "x-out": "return"}
