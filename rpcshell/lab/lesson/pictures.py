"""Small pictures in text: workers as a row of boxes, and gauges. What is in them was measured by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.lab.lesson.texts import Words
    from rpcshell.view.pretty import Fragment
    from rpcwire.control import WorkerStatus

__all__ = ["count_boxes", "gauge", "worker_boxes"]

_IDLE: Final = "class:top.low"
_HELD: Final = "class:top.high"
_BUSY: Final = "class:top.full"
_FAINT: Final = "class:footer"

_MARKS: Final = {"idle": (_IDLE, " "), "held": (_HELD, "▪"), "busy": (_BUSY, "▮"), "starting": (_FAINT, "·")}

_GAP: Final = "  "

_CELLS: Final = 8


def worker_boxes(workers: Sequence[WorkerStatus], words: Words, *, numbers: bool) -> list[Fragment]:
    """A box for each worker, and behind them how many of each kind there are.

    Args:
        workers: The workers.
        words: Name the kinds.
        numbers: Whether boxes have numbers of connections in them: one worker may have many.
    """
    kinds = [_kind(worker) for worker in workers]
    boxes: list[Fragment] = []
    for worker, kind in zip(workers, kinds, strict=True):
        style, mark = _MARKS[kind]
        boxes.append((style, f"[{worker.connections if numbers and kind != 'starting' else mark}]"))
    if numbers:
        connections = sum(worker.connections for worker in workers)
        return [*boxes, (_FAINT, _GAP + words.connections.format(count=connections))]
    names = {"idle": words.idle, "held": words.held, "busy": words.busy, "starting": words.starting}
    for kind, (_, mark) in _MARKS.items():
        if count := kinds.count(kind):
            boxes.append((_FAINT, _GAP + f"{mark} {names[kind].format(count=count)}".lstrip()))
    return boxes


def count_boxes(counts: Sequence[int]) -> list[Fragment]:
    """A box for each number.

    Args:
        counts: The numbers, from 0.
    """
    width = max(len(str(count)) for count in counts)
    return [(_HELD if count else _IDLE, f"[{count:>{width}}]") for count in counts]


def gauge(value: int, limit: int, columns: int = _CELLS) -> list[Fragment]:
    """How full something is.

    Args:
        value: How much there is in it.
        limit: How much there can be.
        columns: How wide the gauge is.
    """
    share = min(value / limit, 1.0) if limit else 0.0
    # One that waits among a thousand is to be seen.
    full = max(round(share * columns), 1 if value else 0)
    style = _BUSY if share >= 1 else _HELD
    return [(style, "▮" * full), (_FAINT, "▯" * (columns - full)), ("", f" {value}/{limit}")]


def _kind(worker: WorkerStatus) -> str:
    if worker.state != "ready":
        return "starting"
    if worker.call is not None:
        return "busy"
    return "held" if worker.connections else "idle"
