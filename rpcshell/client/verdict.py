"""What was found out of a server that nobody had named: what it speaks, or in words what it is instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.diagnosis import HTTP_SERVER, gone, not_rpc, other_protocol, seen
from rpcshell.client.dialects.recognition import HTTP
from rpcshell.client.errors import ProtocolError
from rpcshell.client.http_responses import status_hint
from rpcshell.client.socket_owners import ADAPTER, greets
from rpcshell.client.target import HttpTarget, Target, TcpTarget

if TYPE_CHECKING:
    from rpcshell.client.detection import Attempt, Outcome

_OWN_SERVER: Final = "rpcserver "

SILENCES: Final = {
    "": "nothing came",
    "closed": "it ended the connection",
    "refused": "it is gone",
    "failed": "no connection",
}
"""What the ends of attempts are where the server has said nothing."""


class Unrecognised(ProtocolError):
    """What answers at a target, or does not, is nothing that can be talked to, as these guesses have shown."""

    def __init__(self, message: str, *, hint: str | None, attempts: tuple[Attempt, ...]) -> None:
        super().__init__(message, hint=hint)
        self.attempts = attempts


class Finding(msgspec.Struct, frozen=True):
    """What was found out."""

    asked: Target
    target: Target | None
    """That which was asked, with what it speaks, or None where that is not known."""
    outcome: Outcome
    attempts: tuple[Attempt, ...] = ()
    program: str = ""
    """Who listens there, where the system tells: a program and its process."""
    working: bool = False
    """Whether it has taken something that was said to it, and neither answers it nor ends the connection."""

    @property
    def said(self) -> bytes:
        """The first bytes that the server has said last, if any."""
        return next((attempt.first for attempt in reversed(self.attempts) if attempt.first), b"")

    @property
    def busy(self) -> bool | None:
        """Whether it has no worker free, as one of rpcshell's own protocol may; None where that is not known."""
        if self.outcome != "silent" or greets(self.program):
            return False
        return self.working or self.program.startswith(_OWN_SERVER) or None

    @property
    def error(self) -> Unrecognised:
        """What there is instead of a server to talk to, for one that was not recognised."""
        error = self._error()
        return Unrecognised(error.message, hint=error.hint, attempts=self.attempts)

    def _error(self) -> ProtocolError:
        where = self.asked
        name = f"DIALECT:{where} names what it speaks"
        who = f"; {self.program} listens there" if self.program else ""
        match self.outcome:
            case "not-rpc" if not_rpc(self.said) == HTTP_SERVER:
                return self._no_rpc_over_http()
            case "not-rpc" if (known := other_protocol(where, self.said)) is not None:
                return known
            case "echo":
                return ProtocolError(f"{where} sends back what it is sent: it is an echo server", hint="check the port")
            case "closes":
                hint = f"it may be for other hosts or users, or want something first; {name}"
                return ProtocolError(f"{where} ends every connection without a word{who}", hint=hint)
            case "gone":
                return gone(where, "nobody listens there")
            case "silent" if self.program.startswith(ADAPTER):
                deaf = f"{where} greets nobody any more: {self.program} took no client after one that left it too soon"
                return ProtocolError(deaf, hint="start it again")
            case "silent" if greets(self.program):
                hint = "a monitor serves one client at a time; -qmp may be given to QEMU several times"
                held = f"{where} is held by another client, libvirt perhaps: {self.program} says nothing"
                return ProtocolError(held, hint=hint)
            case "silent" if self.working:
                hint = f"its workers may be busy; {name}"
                return ProtocolError(f"{where} has taken what it was asked, and says nothing yet{who}", hint=hint)
            case "silent":
                busy = f"its workers may be busy, for which native:{where} waits"
                hint = f"{busy}, or another client may hold it, as one does a QMP monitor; {name}"
                return ProtocolError(f"{where} takes connections and says nothing to any guess{who}", hint=hint)
        return ProtocolError(f"{where} speaks nothing that is known here{who}: it said {seen(self.said)}", hint=name)

    def _no_rpc_over_http(self) -> ProtocolError:
        # What it says to a message tells more than what it says to a GET.
        posted = (one.first for one in self.attempts if one.first and one.guess.said and one.guess.refines == HTTP)
        said = next(posted, self.said)
        status = said.partition(b"\r")[0].partition(b" ")[2] or said
        if isinstance(self.asked, HttpTarget):
            hint = status_hint(int(status[:3]) if status[:3].isdigit() else 0, self.asked) or "is this the path?"
            return ProtocolError(f"{self.asked} answers neither MCP nor JSON-RPC, but {seen(status)}", hint=hint)
        what = f"{self.asked} is an HTTP server, and no server of MCP at /mcp: it answered {seen(status)}"
        where = f"http://{self.asked}/PATH" if isinstance(self.asked, TcpTarget) else "https://HOST:PORT/PATH"
        return ProtocolError(what, hint=f"{where} names another path")
