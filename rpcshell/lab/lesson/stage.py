"""What a step works with: the clock that began with it, servers of its own, and somebody to tell things to."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.lab.lesson.page import Teller
    from rpcwire.control import ServerStatus

__all__ = ["Stage"]


class Stage:
    """One run of a step.

    Args:
        teller: Takes what there is to tell.
        pace: By how much pauses are longer than needed, so that somebody can follow.
    """

    def __init__(self, teller: Teller, pace: float = 1.0) -> None:
        self._teller = teller
        self._pace = pace
        self._began = time.monotonic()

    def tell(self, moment: str, **values: Any) -> None:
        """Tell what has just happened.

        Args:
            moment: Its name.
            values: Its figures.
        """
        self._teller.moment(time.monotonic() - self._began, moment, values)

    def show(self, status: ServerStatus, *, queue: bool = True) -> None:
        """Draw a server as it is.

        Args:
            status: What it told.
            queue: Whether its listen queue says something here.
        """
        self._teller.status(status, queue=queue)

    def show_shares(self, counts: Sequence[int]) -> None:
        """Draw how many connections each worker took."""
        self._teller.shares(counts)

    def show_models(self, rows: Sequence[dict[str, str]]) -> None:
        """Show the table of models."""
        self._teller.models(rows)

    def conclude(self, **values: Any) -> None:
        """Tell what follows from it all.

        Args:
            values: Its figures.
        """
        self._teller.so(values)

    def pause(self, seconds: float) -> None:
        """Leave things as they are for a moment.

        Args:
            seconds: How long, at least.
        """
        threading.Event().wait(seconds * self._pace)
