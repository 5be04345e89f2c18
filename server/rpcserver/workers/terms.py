"""What the conversations of a worker have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpcserver.system.settings import ServerSettings
    from rpcserver.workers.frame_budget import FrameBudget
    from rpcserver.workers.layers import Layers


@dataclass(frozen=True, slots=True)
class Terms:
    """What each conversation of a worker begins with.

    Attributes:
        settings: limits and deadlines.
        layers: what lies between a connection's bytes and its messages.
        budget: what large requests may take of memory, or None for no limit.
    """

    settings: ServerSettings
    layers: Layers
    budget: FrameBudget | None
