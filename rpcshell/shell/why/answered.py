"""The rules for calls that were answered: with an error, or only after a while.

Of the latter a part took most of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.shell.why.evidence import Diagnosis
from rpcshell.view.units import count_of, duration
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from rpcshell.shell.why.evidence import Evidence

_SLOW: Final = 0.05
"""Seconds from which an answered call is worth a word on what took so long."""

_LARGE: Final = 1 << 20
_MAIN_SHARE: Final = 0.5
"""The share of a call's time from which a part of it is the reason for it."""


def refused(evidence: Evidence) -> Diagnosis | None:
    """The call was answered with an error, whose code says why; of another protocol's server it may mean anything."""
    method, error = evidence.call.method, evidence.error
    match evidence.call.code:
        case None:
            return None
        case ErrorCode.METHOD_NOT_FOUND:
            return Diagnosis(
                f"the server answered at once that it has no method {method!r}.",
                evidence.hint or ":methods lists those",
            )
        case _ if evidence.foreign:
            return Diagnosis(
                f"the server answered with an error after {duration(evidence.timing.total)}: {error}",
                f":doc {method} says what it takes, as far as the server has told",
            )
        case ErrorCode.BUSY:
            return Diagnosis(
                f"the server turned the request away at once, as its own queue was full: {error}",
                "it did not run: call again in a moment; more workers (:scale) or --threads take more",
            )
        case ErrorCode.TIMED_OUT:
            took = duration(evidence.timing.total)
            return Diagnosis(
                f"the server gave up on the call after {took}: it ran longer than --timeout allows.",
                "make the handler faster, or start the server with a longer --timeout",
            )
        case ErrorCode.FRAME_TOO_LARGE:
            return Diagnosis(
                f"the request is larger than the server takes: {error}",
                "send less at once, or start the server with a larger --max-frame",
            )
        case ErrorCode.INVALID_PARAMS | ErrorCode.INVALID_REQUEST | ErrorCode.PARSE_ERROR:
            return Diagnosis(
                f"the server refused the request before any handler ran: {error}", f":doc {method} says what it takes"
            )
        case ErrorCode.INTERNAL_ERROR:
            return Diagnosis(
                f"the handler of {method} raised an exception: {error}",
                "its traceback is in the server's log, below; a server with --debug sends it along",
            )
        case _:
            return Diagnosis(
                f"the handler of {method} ran, and answered with an error of its own: {error}",
                "that is the service's word on the params, and no failure of the server",
            )


def is_main(evidence: Evidence, part: float) -> bool:
    """Whether a part of a call's time, in seconds, is why it took so long."""
    timing = evidence.timing
    return timing.total >= _SLOW and part >= _MAIN_SHARE * timing.total and evidence.call.failure == ""


def went_on(evidence: Evidence) -> Diagnosis | None:
    """An instance of a fleet did not answer, and another one did."""
    failed = evidence.call.trace.failed_attempts
    if not failed or evidence.call.outcome not in {"ok", "error"}:
        return None
    first, more = failed[0], len(failed) - 1
    others = f", nor did {count_of(more, 'attempt')} after it" if more else ""
    may_run_twice = any(attempt.may_have_run for attempt in failed)
    return Diagnosis(
        f"{first.instance} did not answer it ({first.reason}){others}, so {evidence.call.instance} was asked.",
        f"nothing is left to do: {evidence.call.method} is idempotent, so it may run twice"
        if may_run_twice
        else "nothing is left to do: what did not run goes on to another instance; :servers tells how they are",
    )


def sent_again(evidence: Evidence) -> Diagnosis | None:
    """An attempt before the last one was lost."""
    if evidence.timing.attempts < 2 or evidence.call.outcome not in {"ok", "error"}:
        return None
    times = f"the request was sent {evidence.timing.attempts} times"
    if (death := next(iter(evidence.events_of("died")), None)) is not None:
        how = f"was killed by SIG{death.signal}" if death.signal else "died"
        return Diagnosis(
            f"{times}, since worker {death.worker} (pid {death.pid}) {how} while it had the first.",
            f"nothing is left to do: {evidence.call.method} is idempotent, so it may run twice",
        )
    return Diagnosis(
        f"{times}, since the server had announced that it would not run the first any more.",
        "nothing is left to do: reloading, scaling down and reclaiming connections do that, and lose nothing",
    )


def slow(evidence: Evidence) -> Diagnosis | None:
    """A part of the call took most of its time."""
    timing = evidence.timing
    parts = {
        "connect": timing.connect,
        "before": timing.before,
        "service": timing.service,
        "queue": timing.queue,
        "transfer": timing.transfer,
        "after": timing.after,
    }
    main, part = next(
        ((name, part) for name, part in parts.items() if part is not None and is_main(evidence, part)), ("", 0.0)
    )
    took = f"{duration(part)} of {duration(timing.total)}"
    match main:
        case "connect" if evidence.child:
            return Diagnosis(
                f"starting the server took {took}: it is a child of this shell, and had to be ready first.",
                "a call while it runs does not pay for it",
            )
        case "connect":
            return Diagnosis(
                f"making the connection took {took}: the lookup of the name, TCP, or TLS.",
                "try the address instead of the name; a call on a connection that is there does not pay for it",
            )
        case "before":
            return Diagnosis(
                f"the shell was still asking the server what it offers, for {duration(part)}.",
                "that happens once for a connection; --plain leaves it out",
            )
        case "service":
            who = "" if evidence.call.meta is None else f" in worker {evidence.call.meta.worker}"
            return Diagnosis(
                f"the handler of {evidence.call.method} itself took {took}{who}.",
                "the time is in its own code, or in what that waits for",
            )
        case "queue":
            handler = duration(timing.service or 0.0)
            return Diagnosis(
                f"the request waited {took} before a worker began it; the handler took {handler}.",
                ":workers shows who is busy, its queue how many wait; :scale adds workers",
            )
        case "transfer" | "after":
            size = evidence.call.trace.received_size
            return Diagnosis(
                f"the reply of {size} bytes took {took} {'to arrive' if main == 'transfer' else 'to read'}.",
                "ask for less of it at once" if size >= _LARGE else "the network, or the peer, is slow",
            )
    return None
