"""What a server as a whole is about, from its start to its stop, and the failure to start."""

from __future__ import annotations

import enum

from rpcserver.system.errors import ServerError


class BootError(ServerError):
    """The workers did not start.

    Attributes:
        message: why, and what to do about it.
        traceback: the frames of the user's own code, where it is to blame.
    """

    def __init__(self, message: str, traceback: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.traceback = traceback


class Phase(enum.Enum):
    """What the arbiter is about."""

    BOOTING = "booting"
    RUNNING = "running"
    DRAINING = "draining"
    QUITTING = "quitting"
