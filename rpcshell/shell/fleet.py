"""What a session knows of the fleet that its calls go to: its instances, what becomes of them, and what they offer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rpcshell.view.units import duration
from rpcwire import encode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rpcshell.client.client import Client
    from rpcshell.client.fleet.instances import FleetEvent, InstanceState
    from rpcshell.client.target import Target


_LOOK: Final = 2.0
"""Seconds that an instance has to say what it offers."""


class Fleet:
    """The instances that a client's calls go to, and what becomes of them.

    `offers_changed` is called, from any thread, when what the instances offer may be something else.
    """

    def __init__(self, client: Client, offers_changed: Callable[[], None]) -> None:
        self._untold: list[str] = []
        # Until somebody has connected to it, there is nobody else to tell.
        self._on_change: Callable[[str], None] = self._untold.append
        self._client = client
        self._offers_changed = offers_changed
        self._digests: Digests | None = None
        self._offers: dict[Target, str] = {}
        self._differ = False
        client.on_change(self._take)

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Have `callback` called, from any thread, when something has changed: with a line to be told, or nothing."""
        self._on_change = callback
        while self._untold:
            callback(self._untold.pop(0))

    @property
    def instances(self) -> tuple[InstanceState, ...]:
        """All that are known by now."""
        return self._client.instances

    @property
    def ready(self) -> int:
        """How many of them get calls."""
        return sum(not instance.ejected for instance in self.instances)

    @property
    def count(self) -> str:
        """How many there are, and how many of them get calls where not all do: `3` or `2/3`.

        One that ended a connection in good order is no news until it turns out not to work.
        """
        instances = self.instances
        ejected = sum(bool(instance.problem) for instance in instances)
        return f"{len(instances) - ejected}/{len(instances)}" if ejected else str(len(instances))

    @property
    def offers(self) -> dict[Target, str]:
        """A digest of what each instance offers, as far as that is known: where two differ, so may the methods."""
        told = {instance.target: instance.openrpc for instance in self.instances if instance.openrpc}
        return {**self._offers, **told}

    @property
    def differ(self) -> bool:
        """Whether some are known to offer something else than others."""
        return len(set(self.offers.values())) > 1

    def compare(self) -> str:
        """Find out whether all instances offer the same, and return a line on that where it is news; may take a while.

        Those that the registry tells nothing of are asked.
        """
        instances = self.instances
        self._digests = Digests(instances)
        untold = [one.target for one in instances if not one.openrpc and not one.ejected]
        if untold:
            self._offers = self._asked(untold)
        offers = self.offers
        kinds = Counter(offers[one.target] for one in instances if one.target in offers)
        differ, all_known = len(kinds) > 1, kinds.total() == len(instances)
        if differ == self._differ or not (differ or all_known):
            return ""
        self._differ = differ
        if not differ:
            return "all instances offer the same again"
        *counts, least = (str(count) for _, count in kinds.most_common())
        alike = f"{', '.join(counts)} and {least} alike"
        return f"the instances offer different things ({alike}): is a deploy under way? :servers shows it"

    def _asked(self, instances: list[Target]) -> dict[Target, str]:
        """A digest of what each instance offers, of those that say it in time."""
        if self._client.plain:
            return {}
        from hashlib import sha256

        from rpcshell.client.broadcast import Broadcast

        broadcast = Broadcast(instances, tls=self._client.tls, limit=_LOOK)
        broadcast.run("rpc.discover", None)
        told = {answer.instance: answer.result for answer in broadcast.answers if answer.error is None}
        return {instance: sha256(encode_value(result)).hexdigest() for instance, result in told.items()}

    def _take(self, event: FleetEvent) -> None:
        if self._digests is None:
            self._digests = Digests(self.instances)
        elif self._digests.take(event):
            self._offers_changed()
        self._on_change(_told(event))


class Digests:
    """What the instances are said to offer, as digests; an event takes the same work however many there are."""

    def __init__(self, instances: Iterable[InstanceState]) -> None:
        self._of = {instance.target: instance.openrpc for instance in instances}
        self._counts = Counter(self._of.values())

    def take(self, event: FleetEvent) -> bool:
        """Take in an event, and tell whether the instances offer something else by now."""
        target = event.instance.target
        former = self._of.pop(target, None)
        if event.kind != "removed":
            self._of[target] = event.instance.openrpc
        by_now = self._of.get(target)
        if former == by_now:
            return False
        is_new = by_now is not None and not self._counts[by_now]
        if by_now is not None:
            self._counts[by_now] += 1
        if former is not None:
            self._counts[former] -= 1
        return is_new or (former is not None and not self._counts[former])


def state_text(instance: InstanceState) -> str:
    """How an instance is to this shell's client, in a few words."""
    if not instance.ejected:
        return "ready"
    return f"{'ejected' if instance.problem else 'leaving'}, {duration(instance.due)} more"


def _told(event: FleetEvent) -> str:
    """What a person is told of an event; the prompt counts who comes and goes."""
    where = event.instance.target
    match event.kind:
        case "ejected":
            return f"{where} gets no calls until it works again: {event.reason}"
        case "restored":
            return f"{where} works again"
    return ""
