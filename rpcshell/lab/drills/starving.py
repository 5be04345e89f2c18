"""Drills that take workers from others without a single call: idle connections, and requests that come slowly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.lab.drills.crowd import Crowd, Idle, Slow
from rpcshell.lab.drills.drill import Verdict
from rpcshell.view.units import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.lab.drills.crowd import Member
    from rpcshell.lab.drills.drill import Drill

__all__ = ["hold", "slow"]

_SAMPLE: Final = 1.0
_PATIENCE: Final = 15.0
_CALM: Final = 0.15
_AGAINST_IDLE: Final = "more workers (:scale), --model thread or a shorter --reclaim-idle would help"
_AGAINST_SLOW: Final = "more workers (:scale), --model thread or a shorter --read-timeout would help"


def hold(drill: Drill, connections: int, seconds: float) -> None:
    """Hold idle connections.

    Args:
        drill: The running drill.
        connections: How many.
        seconds: For how long.
    """
    until = time.monotonic() + seconds
    members = [
        Idle(number, drill.target, drill.tls, drill.called, drill.timeline, until)
        for number in range(1, connections + 1)
    ]
    drill.verdict = Verdict(f"{connections} idle connections were held, and let go before their time.")
    _starve(drill, members, until)
    timeline = drill.timeline
    held = len({moment.details["connection"] for moment in timeline.find("held")})
    kept_out = [member for member in members if member.worker is None]
    parts = [f"{held} of {connections} idle connections were let in by {_holders(members)}"]
    if kept_out:
        parts.append(f"{len(kept_out)} never were")
    if reclaimed := timeline.count("reclaimed"):
        parts.append(f"{reclaimed} had to go for others that waited")
    text = ", ".join(parts) + ". " + _effect(drill, _AGAINST_IDLE)
    recovered = _recovery(drill)
    drill.verdict = Verdict(text, recovered)


def slow(drill: Drill, connections: int, rate: float, seconds: float) -> None:
    """Send requests slowly.

    Args:
        drill: The running drill.
        connections: On how many connections.
        rate: Bytes a second on each.
        seconds: For how long.
    """
    until = time.monotonic() + seconds
    members = [
        Slow(number, drill.target, drill.tls, drill.called, drill.timeline, until, rate=rate)
        for number in range(1, connections + 1)
    ]
    drill.verdict = Verdict(f"{connections} slow senders were let go before their time.")
    _starve(drill, members, until)
    dropped = drill.timeline.find("dropped")
    if dropped:
        after = min(moment.details.get("after_ms", 0.0) for moment in dropped) / 1000
        text = f"{len(dropped)} of {_senders(connections)} were dropped, the first after {duration(after)}"
    else:
        text = f"None of {_senders(connections)} was dropped within {duration(seconds)}: the read deadline is later"
    text += ". " + _effect(drill, _AGAINST_SLOW)
    recovered = _recovery(drill)
    drill.verdict = Verdict(text, recovered)


def _starve(drill: Drill, members: Sequence[Member], until: float) -> None:
    """Let a crowd do its work, and tell every second how it stands."""
    due = time.monotonic() + _SAMPLE / 2

    with Crowd(members) as crowd:

        def tick() -> None:
            nonlocal due
            now = time.monotonic()
            if now >= due:
                due = now + _SAMPLE
                drill.timeline.add("sample", _sample(drill, crowd), held=crowd.count("held"))

        drill.follower.until(lambda _: crowd.over, until - time.monotonic(), tick)
        drill.follower.refresh()
        drill.timeline.add("released", "the connections are closed")


def _sample(drill: Drill, crowd: Crowd) -> str:
    outside = crowd.count("waiting") + crowd.count("connecting")
    counts = {"open": crowd.count("held"), "waiting to be let in": outside, "gone": crowd.count("gone")}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no connection is open"
    waited, took = drill.probe.now(time.monotonic())
    call = "no normal call was made"
    if waited > drill.probe.stall:
        call = f"a normal call has waited for {duration(waited)}"
    elif took is not None:
        call = f"a normal call takes {duration(took)}"
    return f"{told}; {call}"


def _effect(drill: Drill, cure: str) -> str:
    report = drill.probe.report()
    if report.longest < drill.probe.stall:
        return "Normal calls went on meanwhile."
    model = drill.follower.status.model
    advice = f": {cure}" if model == "sync" else ""
    return f"A normal call waited for up to {duration(report.longest)}{advice}."


def _recovery(drill: Drill) -> float | None:
    """Look until calls are answered as before; seconds it took, or None where it was never otherwise, or still is."""
    since = time.monotonic()
    if not drill.follower.until(lambda status: drill.healthy(status, since), _PATIENCE):
        return None
    took = time.monotonic() - since
    drill.follower.seconds(_CALM)
    return took if drill.timeline.count("calls_wait") else None


def _holders(members: Sequence[Member]) -> str:
    workers = sorted({member.worker for member in members if member.worker is not None})
    if not workers:
        return "no worker"
    return f"worker {workers[0]}" if len(workers) == 1 else f"{len(workers)} workers"


def _senders(count: int) -> str:
    return "1 slow sender" if count == 1 else f"{count} slow senders"
