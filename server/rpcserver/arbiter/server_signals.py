"""Signals that a server is sent, received on the arbiter's loop; what each means, the arbiter says."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Final

from rpcserver.system.signals import SentSignals, SignalQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcserver.system.loop import Reactor

logger = logging.getLogger(__name__)

_IF_SENT: Final = frozenset({signal.SIGTTIN, signal.SIGTTOU})
"""The kernel has uses of its own for these."""


class ServerSignals:
    """Catches signals and calls what they mean.

    Args:
        meanings: what to call for each; one that means nothing to this server is logged.
    """

    def __init__(self, reactor: Reactor, meanings: Mapping[signal.Signals, Callable[[], object]]) -> None:
        self._reactor = reactor
        self._meanings = meanings
        self._queue = SignalQueue()
        self._sent = SentSignals(_IF_SENT)

    def catch(self) -> None:
        """Catch them from now on."""
        self._queue.catch(set(self._meanings) - _IF_SENT)
        # A terminal sends signals to the workers too; known first, they make their deaths no surprise.
        self._reactor.watch(self._queue.fileno(), self._on_signals, first=True)
        self._reactor.watch(self._sent.fileno(), self._on_signals)

    def close(self) -> None:
        """Close the descriptors, in a forked child too: signals would else come to its parent's queue."""
        self._queue.close()
        self._sent.close()

    def _on_signals(self) -> None:
        for number in (*self._queue.receive(), *self._sent.receive()):
            self._meanings[number]()
