"""Processes that an app's code has forked and that come back from there, into the server's code: they end."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

_STATUSES: Final = 256


class StrayGuard:
    """Keeps a process that an app's code has forked from going on as the one that it was forked from.

    Both would count on the scoreboard, wait in one epoll(7) and be the same worker to their arbiter.
    """

    __slots__ = ("strayed",)

    def __init__(self) -> None:
        self.strayed = False  # whether this is such a process; whoever sees to forks sets it

    def check(self, error: BaseException | None = None) -> None:
        """Return, but not in such a process; `error` is what an app's code has raised there."""
        if self.strayed:
            self.end(error)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Run an app's code in this process; in one that it forks meanwhile nothing comes after it."""
        try:
            yield
        except BaseException as error:
            self.check(error)
            raise
        self.check()

    def end(self, error: BaseException | None = None) -> NoReturn:
        """End this process at once, with the status that `sys.exit` asks for, or else with 1 and a line in the log."""
        status = 1
        try:
            if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
                status = (error.code or 0) % _STATUSES
            else:
                logger.warning(
                    "a process that the app has forked has come back into the server's code, and ends: "
                    "have it end by os._exit, or start it by subprocess or multiprocessing",
                    exc_info=error,
                )
        finally:
            os._exit(status)
