"""What a client reports of a call as it happens, to a `Trace` that it is handed with the call and knows no more of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rpcshell.client.target import Target
    from rpcwire import Meta

Ends = tuple[Any, Any]
"""The addresses of a connection's two ends, this side's first, as getsockname(2) tells them."""


class Trace(Protocol):
    """Is told what happens to a call, in this order and from the thread that makes it; all may come again."""

    patience: float
    """Seconds without anything to read after which `silent` is called, if they are not up to the call's deadline."""

    def attempt_begun(self, instance: Target) -> None:
        """It goes to an instance of a fleet; of a single server this is not told."""

    def attempt_failed(self, reason: str, *, may_have_run: bool) -> None:
        """It brought no reply there, and may go on to another instance."""

    def connecting(self) -> None:
        """A connection is about to be made."""

    def connection_made(self) -> None:
        """It was."""

    def request_started(self, request: bytes, served_by: Meta | None) -> None:
        """These bytes are about to be sent; the last call on the connection was answered by `served_by`."""

    def request_sent(self) -> None:
        """All of them were."""

    def silent(self, ends: Ends | None) -> None:
        """Nothing has come for as long as `patience`."""

    def data_received(self, data: bytes) -> None:
        """One read brought this."""

    def failed(self, ends: Ends | None) -> None:
        """There will be no reply on this connection, which is still open."""

    def call_ended(self) -> None:
        """There was a reply, or no hope of one."""
