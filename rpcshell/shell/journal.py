"""The calls of this session: what was called, what came of it, when and how long it took.

Kept in memory for the commands that look back, such as `:history` and `:export`; nothing here is written anywhere.
Values are as they came, secrets included: whoever shows or stores them masks them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from rpcshell.client.errors import CallError, Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.client.errors import ShellError
    from rpcshell.client.outcome import CallOutcome
    from rpcwire import Meta, Reply

__all__ = ["LARGEST", "MOST_RECORDS", "CallRecord", "Journal", "Outcome"]

Outcome = Literal["ok", "error", "failed", "cancelled"]
"""Of a call: a result, an error reply, no reply, or interrupted before one."""

MOST_RECORDS: Final = 100
"""Calls that are remembered; the oldest are forgotten first."""

LARGEST: Final = 1 << 20
"""Bytes of memory, about, of a value that is remembered with its call."""

_SCALAR: Final = 32
"""Bytes that a number, or the frame of a text or container, takes in memory; an estimate."""

_LONGEST_LINE: Final = 10_000


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call and what came of it.

    Attributes:
        line: The line as it was typed.
        method: The method that was called.
        params: Its params.
        outcome: What came of it.
        reply: The reply, where it was a good one.
        error: What went wrong, in one sentence, where something did.
        code: The error's number, where the server answered one.
        elapsed: Seconds from request to reply, or to giving up.
        began: When, in seconds since the epoch.
        meta: Who answered, where that was asked for and told.
        target: Where it was sent, as it is written for `:connect`.
        number: Which call of the session it was, from 1; a journal sets it.
        has_params: Whether `params` are kept; not where they are too large.
        has_result: Whether the result in `reply` is kept; not where it is too large.
    """

    line: str
    method: str
    params: Any
    outcome: Outcome
    reply: Reply | None = None
    error: str | None = None
    code: int | None = None
    elapsed: float = 0.0
    began: float = 0.0
    meta: Meta | None = None
    target: str = ""
    number: int = 0
    has_params: bool = True
    has_result: bool = True

    @classmethod
    def answered(cls, line: str, outcome: CallOutcome, *, began: float, target: str) -> CallRecord:
        """The record of a call that brought a result.

        Args:
            line: The line as it was typed.
            outcome: What the call brought.
            began: When, in seconds since the epoch.
            target: Where it was sent.
        """
        return cls(
            line=line,
            method=outcome.method,
            params=outcome.params,
            outcome="ok",
            reply=outcome.reply,
            elapsed=outcome.elapsed,
            began=began,
            meta=outcome.meta,
            target=target,
        )

    @classmethod
    def failed(
        cls, line: str, method: str, params: Any, error: ShellError, *, began: float, elapsed: float, target: str
    ) -> CallRecord:
        """The record of a call that brought none.

        Args:
            line: The line as it was typed.
            method: The method that was called.
            params: Its params.
            error: What was raised.
            began: When, in seconds since the epoch.
            elapsed: Seconds until it was raised.
            target: Where it was sent.
        """
        answered = isinstance(error, CallError)
        return cls(
            line=line,
            method=method,
            params=params,
            outcome="error" if answered else "cancelled" if isinstance(error, Cancelled) else "failed",
            error=error.message,
            code=error.code if isinstance(error, CallError) else None,
            elapsed=error.elapsed if isinstance(error, CallError) else elapsed,
            began=began,
            meta=error.meta if isinstance(error, CallError) else None,
            target=target,
        )


class Journal:
    """The latest calls of a session, oldest first.

    Args:
        most: Calls that are remembered.
        largest: Bytes of memory, about, above which params or a result are not kept with their call.
    """

    def __init__(self, *, most: int = MOST_RECORDS, largest: int = LARGEST) -> None:
        self._records: deque[CallRecord] = deque(maxlen=most)
        self._largest = largest
        self._count = 0

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[CallRecord]:
        return iter(self._records)

    @property
    def count(self) -> int:
        """How many calls there were, forgotten ones included."""
        return self._count

    def add(self, record: CallRecord) -> CallRecord:
        """Remember a call under the next number, without the values that are too large.

        Returns:
            The record as it is kept.
        """
        self._count += 1
        changes: dict[str, Any] = {"number": self._count}
        if not _fits(record.params, self._largest):
            changes |= {"params": None, "has_params": False}
        if record.reply is not None and not _fits(record.reply.result, self._largest):
            changes |= {"reply": msgspec.structs.replace(record.reply, result=None), "has_result": False}
        if len(record.line) > _LONGEST_LINE:
            changes["line"] = f"{record.line[:_LONGEST_LINE]}…"
        kept = msgspec.structs.replace(record, **changes)
        self._records.append(kept)
        return kept


def _fits(value: Any, room: int) -> bool:
    """Whether a value of JSON takes no more than that much memory; stops looking once it is known."""
    todo = [value]
    while todo:
        item = todo.pop()
        room -= _SCALAR
        if isinstance(item, str):
            room -= len(item)
        elif isinstance(item, dict | list | tuple):
            room -= _SCALAR * len(item)
            if room < 0:
                return False
            if isinstance(item, dict):
                todo.extend(item)
                todo.extend(item.values())
            else:
                todo.extend(item)
        if room < 0:
            return False
    return True
