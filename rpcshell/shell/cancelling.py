"""What becomes of a call that Ctrl-C interrupted, and of its connection, which is closed if that happens again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import Cancelled
from rpcshell.client.target import ChildTarget

if TYPE_CHECKING:
    from rpcshell.client.client import Client
    from rpcshell.shell.unasked import Unasked

NOT_SENT: Final = "cancelled: the request was not sent"
_STILL_RUNNING: Final = "cancelled: the connection was closed, but the server may still be running it"
_ASKED_TO_END: Final = "cancelled: the server was asked to end it"
_GIVEN_UP: Final = (
    "cancelled: the session goes on, but the server cannot be asked to end it and may still be running it"
)


class Cancelling:
    """Remembers whether the call before was cancelled too, and nothing has been answered since."""

    def __init__(self) -> None:
        self._given_up = False

    def answered(self) -> None:
        """A reply has come."""
        self._given_up = False

    def cancelled(self, client: Client, unasked: Unasked | None) -> Cancelled:
        """What has become of the call that was interrupted just now, and of the connection."""
        if unasked is None or not client.connected:
            return Cancelled(_STILL_RUNNING)
        self._given_up = not self._given_up
        if not self._given_up:
            client.close()
            ended = "child was ended" if isinstance(client.target, ChildTarget) else "connection was closed"
            return Cancelled(f"cancelled again: the {ended}")
        if unasked.hearing.asked_to_end:
            return Cancelled(f"{_ASKED_TO_END}, and the session goes on", at_end=_ASKED_TO_END)
        return Cancelled(_GIVEN_UP, at_end=_STILL_RUNNING)
