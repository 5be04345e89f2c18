"""What the arbiter is about, from its start to its stop, and what follows from that."""

from __future__ import annotations

import enum


class Phase(enum.Enum):
    """What the arbiter is about."""

    BOOTING = "booting"
    RUNNING = "running"
    SETTLING = "settling"  # balancers hear that the server leaves, while it serves as before
    DRAINING = "draining"
    QUITTING = "quitting"

    @property
    def stopping(self) -> bool:
        """Whether clients are taken in no more, and workers that end have no successors."""
        return self in {Phase.DRAINING, Phase.QUITTING}

    @property
    def leaving(self) -> bool:
        """Whether the server is on its way out."""
        return self.stopping or self is Phase.SETTLING
