"""Whether this server shall be sent calls, as balancers ask it; how they ask is in `health`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from rpcserver.arbiter.phase import Phase
from rpcserver.system.scoreboard import SlotState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcserver.arbiter.liveness import Liveness
    from rpcserver.system.scoreboard import SlotReading


class Fitness(enum.Enum):
    """In a word what a balancer shall know."""

    READY = "ready"
    STARTING = "starting"
    DRAINING = "draining"
    STALLED = "stalled"
    DOWN = "down"


class Readiness(msgspec.Struct, frozen=True):
    """What a server says of itself to a balancer: whether it shall get calls, and why not."""

    status: Fitness
    reason: str
    serving: int
    """How many workers are ready, and tick."""
    stalled: int
    """How many are ready, and do not."""
    wanted: int


def judge(phase: Phase, readings: Iterable[SlotReading], liveness: Liveness, *, wanted: int, now: int) -> Readiness:
    """Judge a server, at a time in nanoseconds of CLOCK_MONOTONIC.

    It is ready where it has started and is not on its way out, where one worker serves at least and no more are
    stalled than serve. Workers that it starts, or starts again, take nothing from those that serve.
    """
    ready = [reading for reading in readings if reading.state is SlotState.READY]
    stalled = sum(liveness.is_stalled(reading, now) for reading in ready)
    serving = len(ready) - stalled
    if phase is Phase.BOOTING:
        status, reason = Fitness.STARTING, f"{serving} of {wanted} workers are ready for the first time"
    elif phase.leaving:
        status, reason = Fitness.DRAINING, "the server is on its way out"
    elif not ready:
        status, reason = Fitness.DOWN, f"none of {wanted} workers is ready"
    elif stalled > serving:
        status, reason = Fitness.STALLED, f"{stalled} of {len(ready)} ready workers are stalled"
    else:
        status, reason = Fitness.READY, f"{serving} of {wanted} workers serve"
    return Readiness(status, reason, serving, stalled, wanted)
