"""Conversations on listeners that proxies connect to: a PROXY header comes before all else, TLS too.

What such a header says is read in `rpcserver.system.proxy_protocol`. Whoever is not trusted to send one is served as on
any other listener, unless it sends one.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from rpcserver.system.proxy_protocol import ProxyHeaderError, is_header, may_begin_header, read_header
from rpcserver.workers.conversation import Conversation
from rpcserver.workers.next_step import READ, Next

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rpcserver.system.settings import ServerSettings
    from rpcserver.workers.frame_budget import FrameBudget
    from rpcwire.framings import Framing

logger = logging.getLogger(__name__)


class _Prologue:
    """What has come before the first byte of a conversation is known to be one."""

    __slots__ = ("_sole_request", "began", "held", "over")

    def __init__(self, sole_request: Callable[[bytes], bytes | None]) -> None:
        self._sole_request = sole_request
        self.held = b""  # what has come, while the header is not whole
        self.over = False  # whether the conversation has begun
        self.began = 0.0  # when the first byte came, in monotonic seconds; 0 before that

    def sole_request(self, data: bytes) -> bytes | None:
        return self._sole_request(data) if self.over else None


class ProxiedConversation(Conversation):
    """A conversation that begins with a PROXY header, where the other end is trusted to send one.

    The header has the time of a request to arrive. A trusted proxy that sends something else, and anybody else who
    sends a header, is told so and let go.
    """

    __slots__ = ("_prologue",)

    def __init__(
        self, settings: ServerSettings, tls: ssl.SSLContext | None, budget: FrameBudget | None, framing: Framing | None
    ) -> None:
        super().__init__(settings, tls, budget, framing)
        self._prologue = _Prologue(self.sole_request)
        self.sole_request = self._prologue.sole_request

    def receive(self, data: bytes) -> None:
        """Take what a read brought: the header first."""
        prologue = self._prologue
        if prologue.over or self.lingering:
            super().receive(data)
            return
        if not data:
            if prologue.held:
                logger.info("%s: the stream ended inside a PROXY header", self.peer.address)
            super().receive(data)
            return
        prologue.began = prologue.began or monotonic()
        prologue.held += data
        try:
            rest = self._take(prologue.held)
        except ProxyHeaderError as error:
            logger.info("%s: closed: %s", self.peer.address, error)
            self.lost = True
            return
        if rest is not None:
            prologue.over = True
            prologue.held = b""
            if rest:
                super().receive(rest)

    def next(self) -> Next:
        """Say what the driver does next; a header that has begun is waited for as a request is."""
        hurried = self._hurried
        following = super().next()
        if following is READ and self._prologue.began and not self._prologue.over:
            self._frame_began, self._hurried = self._prologue.began, hurried
        return following

    def _take(self, data: bytes) -> bytes | None:
        """Take the header from a stream's beginning; None where more must come first."""
        proxies = self._settings.proxy_protocol
        if proxies is None or not proxies.trust(self.peer.address):
            if is_header(data):
                raise ProxyHeaderError("it sends a PROXY header, and is none of --proxy-protocol")
            return None if may_begin_header(data) else data
        try:
            header = read_header(data)
        except ProxyHeaderError as error:
            raise ProxyHeaderError(f"--proxy-protocol expects a PROXY header from it, and {error}") from None
        if header is None:
            return None
        if header.source is not None:
            self.peer.via, self.peer.address = self.peer.address, header.source
        return data[header.size :]
