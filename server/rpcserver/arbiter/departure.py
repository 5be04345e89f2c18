"""How a server leaves: the registry forgets it, and who calls it has time to hear of that before it drains.

It serves as before meanwhile. A registry that is away is not waited for longer than two seconds.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcserver.arbiter.registration import Registration

logger = logging.getLogger(__name__)

PATIENCE: Final = 2.0
"""Seconds that the registry has to forget a server that drains."""


class Departure:
    """Waits until the registry has forgotten the server, and then calls `drain` after `settle` seconds.

    In these, clients and balancers hear of it.
    """

    def __init__(self, settle: float, registration: Registration | None, drain: Callable[[], None]) -> None:
        self._settle = settle
        self._registration = registration
        self._drain = drain
        self._drain_at: float | None = None
        self._counted = False

    @property
    def awaits_registry(self) -> bool:
        """Whether the registry may still name this server, and has time to forget it."""
        return self._registration is not None and self._registration.awaited

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        return self._registration.leaves_by if self._registration and self.awaits_registry else self._drain_at

    def begin(self) -> bool:
        """Begin to wait; False where there is nothing to wait for."""
        if self._registration is not None:
            self._registration.leave(PATIENCE)
        if self.awaits_registry:
            logger.info("stopping once the registry has forgotten this server, and %g s later", self._settle)
        elif self._settle:
            self._counted = True
            logger.info("stopping in %g s, which balancers have to hear of it", self._settle)
        else:
            return False
        self._drain_at = time.monotonic() + self._settle
        return True

    def end(self, seconds: float) -> None:
        """Wait no longer before the drain; the server's end waits for the registry, so many seconds at most."""
        self._drain_at = None
        if self._registration is not None:
            self._registration.leave(seconds)

    def run_due(self, now: float) -> None:
        """Go on if it is time."""
        if self._drain_at is None or self.awaits_registry:
            return
        if not self._counted and self._registration is not None and self._registration.left:
            self._counted = True
            self._drain_at = now + self._settle
        if now >= self._drain_at:
            self._drain_at = None
            self._drain()
