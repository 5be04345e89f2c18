"""The rules for calls that were answered, but only after a while: which part of them took most of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.shell.why.finding import SLOW, Finding, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.why.evidence import Evidence

__all__ = ["SLOWNESS", "is_main"]

_LARGE: Final = 1 << 20
_MAIN_SHARE: Final = 0.5
"""The share of a call's time from which a part of it is the reason for it."""


def is_main(evidence: Evidence, part: float) -> bool:
    """Whether a part of a call's time is why it took so long.

    Args:
        evidence: What is known of the call.
        part: In seconds.
    """
    timing = evidence.timing
    return timing.total >= SLOW and part >= _MAIN_SHARE * timing.total and evidence.failure == ""


def slow_connect(evidence: Evidence) -> Finding | None:
    """Making the connection took most of the time."""
    timing = evidence.timing
    if not is_main(evidence, timing.connect):
        return None
    return Finding(
        f"making the connection took {seconds(timing.connect)} of {seconds(timing.total)}: the lookup of the name, "
        f"TCP, or TLS.",
        "try the address instead of the name; a call on a connection that is there does not pay for it",
    )


def slow_start(evidence: Evidence) -> Finding | None:
    """The call waited for the shell."""
    timing = evidence.timing
    if not is_main(evidence, timing.before):
        return None
    return Finding(
        f"the shell was still asking the server what it offers, for {seconds(timing.before)}.",
        "that happens once for a connection; --plain leaves it out",
    )


def sent_again(evidence: Evidence) -> Finding | None:
    """An attempt before the last one was lost."""
    if evidence.timing.attempts < 2 or evidence.outcome not in {"ok", "error"}:
        return None
    times = f"the request was sent {evidence.timing.attempts} times"
    death = next(iter(evidence.events_of("died")), None)
    if death is not None:
        how = f"was killed by SIG{death.signal}" if death.signal else "died"
        return Finding(
            f"{times}, since worker {death.worker} (pid {death.pid}) {how} while it had the first.",
            f"nothing is left to do: {evidence.method} is idempotent, so it may run twice",
        )
    return Finding(
        f"{times}, since the server had announced that it would not run the first any more.",
        "nothing is left to do: reloading, scaling down and reclaiming connections do that, and lose nothing",
    )


def slow_handler(evidence: Evidence) -> Finding | None:
    """The handler took most of the time."""
    timing = evidence.timing
    if timing.service is None or not is_main(evidence, timing.service):
        return None
    who = "" if evidence.meta is None else f" in worker {evidence.meta.worker}"
    return Finding(
        f"the handler of {evidence.method} itself took {seconds(timing.service)} of {seconds(timing.total)}{who}.",
        "the time is in its own code, or in what that waits for",
    )


def slow_queue(evidence: Evidence) -> Finding | None:
    """Something before the handler took most of the time, and nobody saw what."""
    timing = evidence.timing
    if timing.queue is None or not is_main(evidence, timing.queue):
        return None
    return Finding(
        f"the request waited {seconds(timing.queue)} of {seconds(timing.total)} before a worker began it; the handler "
        f"took {seconds(timing.service or 0.0)}.",
        ":workers shows who is busy, its queue how many wait; :scale adds workers",
    )


def slow_transfer(evidence: Evidence) -> Finding | None:
    """The reply took most of the time to arrive."""
    timing = evidence.timing
    for part, what in ((timing.transfer, "to arrive"), (timing.after, "to read")):
        if is_main(evidence, part):
            return Finding(
                f"the reply of {evidence.reply_size} bytes took {seconds(part)} of {seconds(timing.total)} {what}.",
                "ask for less of it at once" if evidence.reply_size >= _LARGE else "the network, or the peer, is slow",
            )
    return None


SLOWNESS: Final[tuple[Callable[[Evidence], Finding | None], ...]] = (
    sent_again,
    slow_connect,
    slow_start,
    slow_handler,
    slow_queue,
    slow_transfer,
)
"""The most specific first."""
