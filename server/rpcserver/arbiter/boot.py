"""The start of a server: its first workers, when as many serve as can be had, and who is told of that.

What follows then, and what a failure means for the server, is decided in `rpcserver.arbiter.arbiter`.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.slots import number_of_workers
from rpcserver.system.printable import printable
from rpcserver.system.settings import default_workers
from rpcwire.control import ServerReady
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.slots import WorkerSlot
    from rpcserver.system.channel import ParentLink, WorkerFailed
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.systemd import Notifier

logger = logging.getLogger(__name__)

_APART: Final = 0.05


class Boot:
    """Starts the first workers of a crew; `parent` is told where the process that started the server wants that."""

    def __init__(self, crew: Crew, settings: ServerSettings, notifier: Notifier, parent: ParentLink | None) -> None:
        self._crew = crew
        self._settings = settings
        self._notifier = notifier
        self._parent = parent
        self._last_try: WorkerSlot | None = None

    def begin(self) -> None:
        """Start one worker per processor now, and the others as these become ready: the first call is answered early.

        Where loading the app is mostly waiting, they start a little apart.
        """
        if self._crew.stems is not None:
            self._crew.stems.load(self._crew.generation)
        processors = len(os.sched_getaffinity(0))
        now = time.monotonic()
        for number, slot in enumerate(self._crew.slots[processors:], 1):
            slot.retry_at = now + number * _APART
        for slot in self._crew.slots[:processors]:
            self._crew.start(slot)

    def go_on(self) -> None:
        """Start the next worker, since one is ready: the first that was not started yet, and has not failed to."""
        following = next((slot for slot in self._crew.slots if slot.worker is None and not slot.early_deaths), None)
        if following is not None:
            self._crew.start(following)

    def count_serving(self) -> int:
        """Return how many workers serve, once none is awaited but those that the system has no room for; else 0."""
        slots = self._crew.slots
        awaited = any(
            not (slot.serves or slot.short or (slot.worker is None and slot.retry_at is None)) for slot in slots
        )
        return 0 if awaited else sum(slot.serves for slot in slots)

    def has_failed(self, slot: WorkerSlot, failure: WorkerFailed) -> bool:
        """Whether the server cannot start, since this worker could not."""
        others = [other for other in self._crew.slots if other is not slot]
        if not failure.shortage:
            return True
        if any(other.worker is not None for other in others):
            return False
        if self._last_try is not None or not any(other.short for other in others):
            return True
        # They may have taken the room from each other.
        self._last_try = slot
        for other in others:
            other.retry_at = None
        return False

    def end(self, serving: int, addresses: Sequence[str], control: str | None, seconds: float) -> None:
        """Tell the log, the service manager and the parent process that the server serves, so long after its start.

        Those of its workers that there was no room for are started later.
        """
        for slot in self._crew.slots:
            if slot.worker is None and slot.retry_at is None:
                slot.retry(time.monotonic())
        name, wanted = self._settings.model, len(self._crew.slots)
        said = number_of_workers(wanted)
        if serving < wanted:
            said = f"{serving} of {said}"
        logger.info("listening on %s, %s (%s), pid %d", ", ".join(addresses), said, name, os.getpid())
        model = MODELS[name]
        best = default_workers(concurrent=model.concurrent)
        # In model fork the processes of connections take all processors, however many workers there are.
        if wanted > best and model.concurrent and not model.forks:
            logger.info("model %s is at its best with one worker a processor: %d here", name, best)
        if control is not None:
            logger.info("control socket: %s", control)
        self._notifier.ready(said)
        if self._parent is not None:
            app = self._settings.app and printable(self._settings.app)
            ready = ServerReady(os.getpid(), tuple(addresses), serving, name, app, round(seconds, 3), control)
            self._parent.send(ready)
