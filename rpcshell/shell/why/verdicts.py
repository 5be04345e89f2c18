"""Whether a server did with a deliberate fault what the protocol wants: judged by the steps that were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcshell.shell.why.faults import FAULTS
from rpcshell.shell.why.frames import cut_frames
from rpcwire import MessageError, Reply, decode_reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.shell.why.faults import FaultName, Step

__all__ = ["judge"]


def judge(name: FaultName, steps: Sequence[Step]) -> tuple[bool, str]:
    """Whether the server did right, and a sentence on what it did.

    Args:
        name: Of the fault.
        steps: What happened.
    """
    fault = FAULTS[name]
    answer = _answer(steps)
    end = next((step.kind for step in steps if step.kind in {"closed", "reset", "silent", "goes on"}), "silent")
    if answer is None and end == "silent":
        return False, "the server said nothing: all of its workers may be held by others (:workers), or it hangs"
    if answer is None:
        did = "no answer"
    elif answer.fault is None:
        did = "an ordinary reply"
    else:
        did = f"error {answer.fault.code}"
    ended = {
        "closed": "the connection was closed",
        "reset": "the connection was reset, so that a reply could have been lost",
        "silent": "then nothing, while the connection stayed open",
        "goes on": "the connection goes on",
    }[end]
    wanted_end = "goes on" if fault.goes_on else "closed"
    right = _fits(fault.code, answer) and end == wanted_end
    text = f"{did}, and {ended}: "
    if right:
        return True, f"{text}as it should be, since {fault.reason}"
    wanted = "no answer" if fault.code is None else f"error {int(fault.code)}" if fault.code else "an ordinary reply"
    return False, f"{text}the protocol wants {wanted}, and that the connection {'goes on' if fault.goes_on else 'ends'}"


def _answer(steps: Sequence[Step]) -> Reply | None:
    came = next((step.data for step in steps if step.kind == "came"), None)
    frames = cut_frames(came or b"")
    if not frames or not frames[0].whole:
        return None
    try:
        reply = decode_reply(frames[0].body)
    except MessageError:
        return None
    return reply if isinstance(reply, Reply) else None


def _fits(code: int | None, answer: Reply | None) -> bool:
    if code is None or answer is None:
        return code is None and answer is None
    return code == (0 if answer.fault is None else answer.fault.code)
