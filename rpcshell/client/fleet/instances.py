"""The instances of a fleet: what a list or a registry says of one, what a client knows of it, and what it tells."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rpcshell.client.target import Target  # noqa: TC001 - the fields of a struct are looked up
from rpcwire.worker_models import worker_model

_MANY: Final = 1 << 30

Kind = Literal["added", "removed", "updated", "ejected", "restored"]
"""What happens to an instance."""


class Listed(msgspec.Struct, frozen=True):
    """What a list or a registry says of an instance.

    Attributes:
        target: Where it serves.
        weight: Its share of the calls, in proportion to the others'; 0 counts as 1.
        priority: Those with the lowest get all calls, as long as one of them works (RFC 2782).
        model: The worker model, if that is told.
        workers: How many workers it has; 0 where that is not told.
        generation: How many times it was reloaded.
        service: The service's name, if that is told.
        version: The service's version, if that is told.
        openrpc: A digest of what it offers, if that is told: where two differ, so may the methods.
        metrics: The URL of its metrics for Prometheus, if that is told.
    """

    target: Target
    weight: int = 1
    priority: int = 0
    model: str = ""
    workers: int = 0
    generation: int = 0
    service: str = ""
    version: str = ""
    openrpc: str = ""
    metrics: str = ""


class InstanceState(Listed, frozen=True):
    """An instance as a client sees it at a moment.

    Attributes:
        outstanding: Calls that are under way.
        calls: Attempts at calls that were made so far.
        failed: How many of them failed: no connection, a lost one, or no reply in time.
        failures: How many attempts failed in a row, those to find out whether it works again too.
        ejected: Whether it gets no calls at present, as long as others work.
        problem: Why it is ejected; empty where it ended a connection in good order, and may be about to stop.
        due: Seconds until it is looked at again; 0 where it is not ejected.
    """

    outstanding: int = 0
    calls: int = 0
    failed: int = 0
    failures: int = 0
    ejected: bool = False
    problem: str = ""
    due: float = 0.0


class FleetEvent(msgspec.Struct, frozen=True):
    """Something that has changed about an instance.

    Attributes:
        kind: It was added to the fleet or removed from it; what is said of it has changed; it was ejected after a
            failure; or restored, as it works again.
        instance: What it is now.
        reason: Why it was ejected.
    """

    kind: Kind
    instance: InstanceState
    reason: str = ""


class Candidate:
    """An instance that calls may go to, and how they went."""

    def __init__(self, listed: Listed) -> None:
        self.outstanding = self.calls = self.failed = self.failures = 0
        self.problem = ""
        self.ejected = self.told = self.probing = self.gone = self.served = False
        self.due = 0.0
        """When it is looked at again, once it was ejected."""
        self.listed = listed
        self.target = listed.target
        self.update(listed)

    def __repr__(self) -> str:
        return f"<Candidate {self.target}, outstanding: {self.outstanding}{', ejected' if self.ejected else ''}>"

    @property
    def has_room(self) -> bool:
        """Whether it can serve another call of this client at once."""
        return self.outstanding < self.limit

    def state(self, now: float) -> InstanceState:
        """What users are told of it, at a time of the clock that `due` is of."""
        return InstanceState(
            **msgspec.structs.asdict(self.listed),
            outstanding=self.outstanding,
            calls=self.calls,
            failed=self.failed,
            failures=self.failures,
            ejected=self.ejected,
            problem=self.problem,
            due=max(self.due - now, 0.0) if self.ejected else 0.0,
        )

    def update(self, listed: Listed) -> None:
        """Take what is said of it by now."""
        self.listed = listed
        self.weight = max(listed.weight, 1)
        self.limited = listed.workers > 0 and not worker_model(listed.model).concurrent
        self.limit = listed.workers if self.limited else _MANY
        """How many calls may be under way: each has a connection, and a worker of such a model serves one."""
