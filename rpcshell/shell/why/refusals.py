"""The rules for calls that no handler answered with a result: never sent, not connected, or refused with an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.shell.why.finding import Finding, all_of, seconds
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.why.evidence import Evidence

__all__ = ["REFUSALS"]


def unsendable(evidence: Evidence) -> Finding | None:
    """The params are nothing that JSON, or a frame, can carry."""
    if evidence.failure != "unsendable":
        return None
    return Finding(f"the request was never sent: {evidence.error}.", evidence.hint or "change the params")


def server_ended(evidence: Evidence) -> Finding | None:
    """The server that was spawned here is gone."""
    if not evidence.server_ended or evidence.outcome not in {"failed", "cancelled"}:
        return None
    return Finding(
        f"the server is gone: it {evidence.server_ended}.",
        ":spawn starts another; the last lines of its log are below",
    )


def queue_full(evidence: Evidence) -> Finding | None:
    """No connection could be made because the listen queue had no room."""
    if evidence.timing.sent or evidence.timing.connected or evidence.failure not in {"unconnected", ""}:
        return None
    status = evidence.status
    full = [
        listener
        for listener in (status.listeners if status is not None else ())
        if listener.limit is not None and listener.waiting is not None and listener.waiting >= listener.limit
    ]
    if status is None or not full:
        return None
    return Finding(
        f"the listen queue was full ({full[0].waiting} of {full[0].limit} waited): {all_of(status.workers)} held, and "
        f"the kernel takes no more connections.",
        f":scale {max(2, len(status.workers) * 2)} for more workers, or :spawn with --model thread",
    )


def unconnected(evidence: Evidence) -> Finding | None:
    """There was no connection to send anything on."""
    if evidence.failure == "unconnected":
        hint = evidence.hint or "start the server, or connect to where it is"
        return Finding(
            f"the request was never sent: {evidence.error}.", f"{hint.rstrip('?')}: :servers lists those of yours"
        )
    timing = evidence.timing
    if evidence.outcome == "cancelled" and timing.dialled and not timing.connected:
        return Finding(
            f"the request was never sent: after {seconds(timing.connect)} there was no connection yet.",
            "the host may be down, a firewall may drop the packets, or the server's listen queue may be full",
        )
    return None


def busy(evidence: Evidence) -> Finding | None:
    """The server said that it has too much to do."""
    if evidence.code != ErrorCode.BUSY:
        return None
    return Finding(
        f"the server turned the request away at once, as its own queue was full: {evidence.error}",
        "it did not run: call again in a moment; more workers (:scale) or --threads take more",
    )


def timed_out(evidence: Evidence) -> Finding | None:
    """The server gave up on the call."""
    if evidence.code != ErrorCode.TIMED_OUT:
        return None
    return Finding(
        f"the server gave up on the call after {seconds(evidence.timing.total)}: it ran longer than --timeout allows.",
        "make the handler faster, or start the server with a longer --timeout",
    )


def request_too_large(evidence: Evidence) -> Finding | None:
    """The server does not take requests of that size."""
    if evidence.code != ErrorCode.FRAME_TOO_LARGE:
        return None
    return Finding(
        f"the request is larger than the server takes: {evidence.error}",
        "send less at once, or start the server with a larger --max-frame",
    )


def not_a_reply(evidence: Evidence) -> Finding | None:
    """What came back was no reply, or one that is too large."""
    if evidence.failure != "protocol":
        return None
    if "announced a reply of" in evidence.error:
        return Finding(f"the reply is too large: {evidence.error}.", "ask for less at once")
    return Finding(f"what came back is no reply: {evidence.error}.", evidence.hint or "is this the right port?")


def unknown_method(evidence: Evidence) -> Finding | None:
    """The server has no such method."""
    if evidence.code != ErrorCode.METHOD_NOT_FOUND:
        return None
    return Finding(f"the server answered at once that it has no method {evidence.method!r}.", ":methods lists those")


def wrong_params(evidence: Evidence) -> Finding | None:
    """The server did not take the params."""
    if evidence.code not in {ErrorCode.INVALID_PARAMS, ErrorCode.INVALID_REQUEST, ErrorCode.PARSE_ERROR}:
        return None
    return Finding(
        f"the server refused the request before any handler ran: {evidence.error}",
        f":doc {evidence.method} says what it takes",
    )


def handler_raised(evidence: Evidence) -> Finding | None:
    """The handler failed, by mistake or on purpose."""
    if evidence.outcome != "error" or evidence.code is None:
        return None
    if evidence.code == ErrorCode.INTERNAL_ERROR:
        return Finding(
            f"the handler of {evidence.method} raised an exception: {evidence.error}",
            "its traceback is in the server's log, below; a server with --debug sends it along",
        )
    return Finding(
        f"the handler of {evidence.method} ran, and answered with an error of its own: {evidence.error}",
        "that is the service's word on the params, and no failure of the server",
    )


REFUSALS: Final[tuple[Callable[[Evidence], Finding | None], ...]] = (
    unsendable,
    server_ended,
    queue_full,
    unconnected,
    busy,
    timed_out,
    request_too_large,
    not_a_reply,
    unknown_method,
    wrong_params,
    handler_raised,
)
"""The most specific first."""
