"""The server's place in a registry as the arbiter knows it: what shall be there, what is, and when it may drain.

A companion talks to the registry (`rpcserver.ops.registrar`). It reports what is there, and is answered what shall be.
"""

from __future__ import annotations

import enum
import logging
import time
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.arbiter.companion import Duty
from rpcserver.arbiter.readiness import Fitness
from rpcserver.system.log import RateLimit
from rpcserver.system.scoreboard import SlotState
from rpcwire.control import RegistrationStatus
from rpcwire.serverset import METRICS, Endpoint, Instance, Member, encode_member

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rpcserver.arbiter.companion import Tell
    from rpcserver.arbiter.crew import Crew
    from rpcserver.arbiter.health import Judge

    Registrar = Callable[[Crew, Judge, Tell], "Registration"]

logger = logging.getLogger(__name__)

_REGISTRAR: Final = "registry"
"""The name of the companion."""

SILENCE: Final = 3.0
"""Seconds after which arbiter and companion, which talk twice a second, take each other to be stalled."""

_NOT_HEARD: Final = "the process that keeps the registration does not answer"


class RegistryState(enum.Enum):
    """Whether the server is registered, as far as that is known."""

    CONNECTING = "connecting"
    """The registry was not reached yet."""
    REGISTERED = "registered"
    ABSENT = "absent"
    """The registry was reached, and the server is not there."""
    AWAY = "away"
    """The registry is not reached any more; the server may be there for as long as its session lasts."""


class Wish(msgspec.Struct, frozen=True, array_like=True):
    """What shall be in the registry: a member of a serverset, or nothing; wishes that differ have numbers that do."""

    number: int = 0
    member: bytes | None = None


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What is in the registry, after the wish with that number was heard; `problem` is why it is not what it shall.

    That the registry was `reached` is told before anything is done there.
    """

    number: int
    state: RegistryState
    problem: str = ""
    reached: bool = False


class Place(msgspec.Struct, frozen=True):
    """Where the server is registered, and as what."""

    registry: str
    """The serverset's address."""
    endpoint: Endpoint
    """Where clients connect to."""
    address: str
    """The same as targets are written."""
    tls: bool = False
    metrics: Endpoint | None = None
    """Where metrics are asked for; None where there are none, or clients elsewhere cannot reach them."""


_decode_report: Final = msgspec.msgpack.Decoder(Report).decode


class Registration:
    """Says what shall be in the registry, and hears what is; `keep` is the companion that talks to the registry."""

    def __init__(
        self,
        place: Place,
        model: str,
        keep: Callable[[socket.socket], int],
        crew: Crew,
        judge: Judge,
        tell: Tell,
    ) -> None:
        self._place = place
        self.duty = Duty(_REGISTRAR, keep, self.on_message)
        self._model = model
        self._crew = crew
        self._judge = judge
        self._tell = tell
        self._wish = Wish()
        self._report = Report(0, RegistryState.CONNECTING)
        self._since = self._heard = time.monotonic()
        self.leaves_by: float | None = None
        """Until when the server's end waits for the registry, in monotonic seconds; None before it leaves."""
        self._problems = RateLimit()

    @property
    def left(self) -> bool:
        """Whether the registry has forgotten it, as it was asked to."""
        heeded = self._report.state is RegistryState.ABSENT and self._report.number == self._wish.number
        return self.leaves_by is not None and heeded

    @property
    def awaited(self) -> bool:
        """Whether clients may still be told of this server that leaves, and there is time to wait for the registry."""
        waits = self.leaves_by is not None and time.monotonic() < self.leaves_by
        return waits and self._report.reached and not self.left

    def leave(self, seconds: float) -> None:
        """Have the server taken out of the registry, and its end wait so many seconds for that, at most."""
        until = time.monotonic() + seconds
        self.leaves_by = until if self.leaves_by is None else min(self.leaves_by, until)
        self.tell()

    def tell(self) -> None:
        """Tell the companion now what shall be in the registry."""
        self._tell(_REGISTRAR, self._next_wish())

    def on_message(self, message: bytes) -> bytes:
        """Hear the companion's report, and answer with what shall be in the registry."""
        report = _decode_report(message)
        answer = self._next_wish()
        before, self._report = self._report, report
        self._heard = time.monotonic()
        if report.state is not before.state:
            self._since = self._heard
            self._note(before.state, report)
        elif report.problem and report.problem != before.problem:
            self._note_problem(before, report)
        return answer

    def status(self) -> RegistrationStatus:
        """Describe it."""
        now, report = time.monotonic(), self._report
        state, problem, since = report.state, report.problem, self._since
        if now - self._heard > SILENCE:
            state, problem, since = RegistryState.AWAY, _NOT_HEARD, self._heard
        return RegistrationStatus(
            self._place.registry, self._place.address, state.value, round(now - since, 3), problem or None
        )

    def _next_wish(self) -> bytes:
        member = self._member()
        if member != self._wish.member:
            self._wish = Wish(self._wish.number + 1, member)
        return msgspec.msgpack.encode(self._wish)

    def _member(self) -> bytes | None:
        """What clients shall find; nothing where the server is not ready, or leaves."""
        if self.leaves_by is not None or self._judge().status is not Fitness.READY:
            return None
        ready = [worker for worker in self._crew if worker.state is SlotState.READY and worker.loaded is not None]
        newest = max(ready, key=lambda worker: worker.generation, default=None)
        if newest is None or newest.loaded is None:
            return None
        workers = len(self._crew.slots)
        instance = Instance(
            address=self._place.address,
            tls=self._place.tls,
            model=self._model,
            workers=workers,
            weight=workers,
            generation=newest.generation,
            service=newest.loaded.name,
            version=newest.loaded.version,
            openrpc=newest.loaded.openrpc,
            close=True,
        )
        others = {} if self._place.metrics is None else {METRICS: self._place.metrics}
        return encode_member(Member(self._place.endpoint, others, rpc=instance))

    def _note(self, before: RegistryState, report: Report) -> None:
        registry, because = self._place.registry, f" ({report.problem})" if report.problem else ""
        match report.state:
            case RegistryState.REGISTERED:
                logger.info("registered as %s at %s", self._place.address, registry)
                self._crew.events.add("registered", text=self._place.address)
            case RegistryState.ABSENT if report.problem or before is not RegistryState.CONNECTING:
                why = report.problem or self._judge().reason
                level = logging.WARNING if report.problem else logging.INFO
                logger.log(level, "not registered at %s: %s", registry, why)
                self._crew.events.add("unregistered", text=why)
            case RegistryState.AWAY:
                logger.warning("the registry %s is away%s: the server goes on serving", registry, because)

    def _note_problem(self, before: Report, report: Report) -> None:
        """Say once that the registry is not reached, and now and then why the server is not in one that is."""
        if report.state is RegistryState.CONNECTING and not before.problem:
            text = "the registry %s is not reached: the server serves without it, and is registered later (%s)"
            logger.warning(text, self._place.registry, report.problem)
        elif report.state is RegistryState.ABSENT and self._problems.allows():
            logger.warning("not registered at %s: %s", self._place.registry, report.problem)
