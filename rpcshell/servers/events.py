"""What happened to a server and its workers, as it tells on its control socket. How it is asked is in `control`.

The structures mirror `arbiter.events` of rpcserver, which the shell does not import. Times are seconds of the monotonic
clock, which both sides share where they are on one machine.
"""

from __future__ import annotations

import msgspec

__all__ = ["Events", "ServerEvent"]


class ServerEvent(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes:
        number: From 1, without gaps.
        at: When, on `time.monotonic`'s clock.
        kind: What: forked, ready, start_failed, draining, aborting, left, died, delayed, retiring, reclaim, frozen,
            thawed, signalled, scaling, reloading, reloaded or reload_failed; newer servers may know more.
        worker: The worker's number, or None where it is about none.
        pid: Its process, or None.
        generation: Its generation, or the one that a reload is about.
        signal: The name, without SIG, of what it died of or was sent, or None.
        lost: How many calls it was in when it died.
        text: What else there is to say.
    """

    number: int
    at: float
    kind: str
    worker: int | None = None
    pid: int | None = None
    generation: int | None = None
    signal: str | None = None
    lost: int = 0
    text: str = ""


class Events(msgspec.Struct, frozen=True):
    """Events after one that is known.

    Attributes:
        last: The number of the last event that there was.
        missed: How many were asked for that the server does not keep any more.
        events: The others, in order.
    """

    last: int
    missed: int = 0
    events: list[ServerEvent] = []
