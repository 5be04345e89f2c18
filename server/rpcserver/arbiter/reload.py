"""Reloading without a gap: worker by worker, a new one gets ready, then the old one is asked to leave.

Workers import the app after their fork, so a new worker runs the code as it is now, with the certificate as it is
now. Where a stem imports it for them, a new stem comes first. If one does not start, the old workers stay.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.slots import number_of_workers
from rpcserver.system.channel import WorkerFailed
from rpcserver.system.errors import TlsError

if TYPE_CHECKING:
    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.slots import WorkerSlot
    from rpcserver.system.systemd import Notifier
    from rpcserver.system.tls import ServerTls

logger = logging.getLogger(__name__)

_STAY: Final = "the workers that serve now stay"


class Reload:
    """Replaces all workers of a crew by ones of the next generation."""

    def __init__(self, crew: Crew, notifier: Notifier, tls: ServerTls | None) -> None:
        self._crew = crew
        self._tls = tls
        self._notifier = notifier
        self._again = False
        self._awaits_app = False
        self._replaced: WorkerSlot | None = None
        self.active = False
        self.problem: str | None = None
        """Why the last one was given up; None where it was not."""

    @property
    def generation(self) -> int:
        """The generation of the new workers while there is a reload, and else of those that start."""
        return self._crew.generation + self._awaits_app

    def begin(self) -> None:
        """Start a reload; one that is under way is finished first, and followed by another one.

        The second one is no luxury: its workers may have read half of what has been changed since.
        """
        if self.active:
            self._again = True
            logger.info("one more reload follows the one that is under way")
            return
        self.problem = None
        self._replaced = None
        self._notifier.reloading()
        try:
            if self._tls is not None:
                self._tls.renew()
        except TlsError as error:
            self._give_up(WorkerFailed.of(str(error), None, shortage=False))
            return
        self.active = self._awaits_app = True
        logger.info("reloading: generation %d", self.generation)
        self._crew.events.add("reloading", generation=self.generation)
        if self._crew.stems is None:
            self.go_on()
        else:
            self._crew.stems.load(self.generation)

    def go_on(self) -> None:
        """Start the first of the new workers; called when these can load the app, or their stem has loaded it."""
        if not self._awaits_app:
            return
        self._awaits_app = False
        self._crew.generation += 1
        for slot in self._crew.slots:
            # Workers that could not start before may be able to now.
            if slot.worker is None:
                self._crew.start(slot)
        self.step()

    def step(self) -> None:
        """Go on as far as possible; called when a worker is ready, has left or is not wanted any more."""
        crew = self._crew
        if not self.active or self._awaits_app or crew.closing:
            return
        if any(slot.successor is not None for slot in crew.slots) or self._awaits_replacement():
            return
        outdated = [slot for slot in crew.slots if slot.worker is not None and slot.worker.generation < crew.generation]
        if not outdated:
            logger.info("reloaded: %s of generation %d", number_of_workers(len(crew.slots)), crew.generation)
            crew.events.add("reloaded", generation=crew.generation)
            self._end()
            return
        ready = next((slot for slot in outdated if slot.serves), None)
        if ready is not None:
            self._replaced = ready
            crew.succeed(ready)

    def _awaits_replacement(self) -> bool:
        """Whether a worker is leaving, or has left, so that there is room for the one in its place."""
        slot = self._replaced
        return slot in self._crew.slots and not slot.serves

    def start_failed(self, slot: WorkerSlot, failure: WorkerFailed) -> bool:
        """Give the reload up, if one is under way, since a worker did not start; a slot without any waits for room.

        Whether the slot goes on with the worker that it has is returned.
        """
        if not self.active or self._awaits_app or (failure.shortage and slot.worker is None):
            return False
        crew = self._crew
        new = sum(slot.worker is not None and slot.worker.generation == crew.generation for slot in crew.slots)
        # Without the former stem there is no way back.
        if not new and (crew.stems is None or crew.stems.can_revert):
            crew.generation -= 1
            if crew.stems is not None:
                crew.stems.revert()
        self._give_up(failure, f"{new} of {len(crew.slots)} workers are new" if new else _STAY)
        return slot.worker is not None and not slot.worker.retiring

    def app_failed(self, failure: WorkerFailed) -> None:
        """Give the reload up, since the app as it is now cannot be loaded."""
        if self._awaits_app:
            self._awaits_app = False
            self._give_up(failure)

    def _give_up(self, failure: WorkerFailed, stays: str = _STAY) -> None:
        logger.error("the reload has failed, %s: %s", stays, failure.message, extra={"traceback": failure.traceback})
        self.problem = failure.message
        self._crew.events.add("reload_failed", generation=self._crew.generation, text=failure.message)
        self._end()

    def _end(self) -> None:
        self.active = False
        self._notifier.ready(f"{number_of_workers(len(self._crew.slots))}, generation {self._crew.generation}")
        if self._again:
            self._again = False
            self.begin()
