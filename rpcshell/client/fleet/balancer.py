"""Which instance of a fleet a call goes to, which are left out for a while, and how many calls may be tried again.

Sans-IO: no clock, no lock.

A call goes to the better of two instances that are drawn at random, by the calls that are under way there: the power of
two choices (Mitzenmacher, https://doi.org/10.1109/71.963420). Who fails is ejected for growing times, and comes back
when a probe finds it well; while all are ejected, all are tried.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import accumulate, permutations
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import ConnectionFailed, ShellError
from rpcshell.client.exchange import Dropped
from rpcshell.client.fleet.instances import Candidate, FleetEvent, InstanceState, Kind, Listed

if TYPE_CHECKING:
    from rpcshell.client.target import Target

PROBE: Final = "rpc.discover"
"""A method whose reply, be it an error, shows that a worker serves; the name is reserved, and no user's."""

PROBE_LIMIT: Final = 2.0
"""Seconds for a connection to an instance that was ejected, and for an answer to the probe."""

_FIRST_EJECTION: Final = 0.5
LONGEST_EJECTION: Final = 30.0
"""Seconds after which an ejected instance is looked at again at the latest, but for the jitter."""
_JITTER: Final = 0.2
_PAIRED: Final = 16
"""Instances of which all pairs are made beforehand, so that two are drawn at once."""
_LEAVE: Final = 0.5
"""Seconds without calls for who has ended a connection by `close`: it may be about to stop."""

_SHARE: Final = 0.2
_MOST_RETRIES: Final = 10.0


class RetryBudget(msgspec.Struct):
    """A bucket of tokens, full at first: each call that succeeds adds a share of one, each retry takes one.

    So retries never outgrow the calls. Finagle's RetryBudget and gRPC's throttling (proposal A6) do alike.
    """

    tokens: float = _MOST_RETRIES
    full: bool = True

    @property
    def allows(self) -> bool:
        """Whether a retry may be made now."""
        return self.tokens >= 1

    def deposit(self) -> None:
        """A call has succeeded."""
        self.tokens = min(self.tokens + _SHARE, _MOST_RETRIES)
        self.full = self.tokens == _MOST_RETRIES

    def withdraw(self) -> bool:
        """Take one for a retry, if there is one."""
        if not self.allows:
            return False
        self.tokens -= 1
        self.full = False
        return True


class Balancer:
    """The instances of a fleet; `clock` tells the time in seconds, and `random` draws."""

    def __init__(self, clock: Callable[[], float], random: Random | None = None) -> None:
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - nothing here is secret
        self._lot = self._random.random
        self._candidates: dict[Target, Candidate] = {}
        self._draw: Sequence[Candidate] = ()
        self._shares: Sequence[int] = ()
        self._pairs: Sequence[tuple[Candidate, Candidate]] = ()
        self._sole: Candidate | None = None
        self.limited = False
        """Whether a call may have to wait until another one is over."""
        self.budget = RetryBudget()
        self.closings = 0
        """How many times the client was closed."""
        self.events: deque[FleetEvent] = deque()
        """What has changed and was not told yet."""

    def __len__(self) -> int:
        return len(self._candidates)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All instances, in the order in which they came."""
        return tuple(self._candidates.values())

    @property
    def states(self) -> tuple[InstanceState, ...]:
        """What users are told of all instances, in the same order."""
        now = self._clock()
        return tuple(candidate.state(now) for candidate in self._candidates.values())

    def replace(self, listed: Iterable[Listed]) -> tuple[Candidate, ...]:
        """Take the instances that there are by now, and return those that are gone. Of none nothing is taken."""
        former, found = self._candidates, {one.target: one for one in listed}
        if not found:
            return ()
        self._candidates = {}
        for target, one in found.items():
            self._candidates[target] = candidate = former.get(target) or Candidate(one)
            if target not in former:
                # Whoever connects asks for the first ones, and need not be told of them.
                if former:
                    self._tell("added", candidate)
            elif candidate.listed != one:
                candidate.update(one)
                self._tell("updated", candidate)
        gone = tuple(candidate for target, candidate in former.items() if target not in found)
        for candidate in gone:
            candidate.gone = True
            self._tell("removed", candidate)
        self._sort()
        return gone

    def choose(self, tried: Set[Candidate] = frozenset()) -> Candidate | None:
        """The instance for an attempt, which counts as under way from now on until `release`.

        None, where all that are as good as any serve as many calls of this client as they can. It is none of those that
        were `tried`: there has to be another, as `exhausted` tells.
        """
        chosen: Candidate | None = None
        if not tried and (chosen := self._sole) is None:
            if pairs := self._pairs:
                first, second = pairs[int(self._lot() * len(pairs))]
                chosen = second if second.outstanding < first.outstanding else first
            else:
                chosen = self._better_of_two(self._draw, self._shares)
        if chosen is None or (self.limited and not chosen.has_room):
            untried = [candidate for candidate in self._draw if candidate not in tried]
            untried = untried or [candidate for candidate in self._candidates.values() if candidate not in tried]
            draw = [candidate for candidate in untried if candidate.has_room]
            chosen = self._better_of_two(draw, tuple(accumulate(candidate.weight for candidate in draw)))
            if chosen is None:
                return None
        chosen.outstanding += 1
        chosen.calls += 1
        return chosen

    def _better_of_two(self, draw: Sequence[Candidate], shares: Sequence[int]) -> Candidate | None:
        """The better of two that are drawn by their shares."""
        count = len(draw)
        if count < 2:
            return draw[0] if draw else None
        total = shares[-1]
        index = bisect(shares, self._lot() * total)
        first = draw[index]
        # The second is drawn among the others: what the first has of the whole is left out.
        point = self._lot() * (total - first.weight)
        if point >= shares[index] - first.weight:
            point += first.weight
        second = draw[min(bisect(shares, point), count - 1)]
        return second if second.outstanding * first.weight < first.outstanding * second.weight else first

    def exhausted(self, tried: Set[Candidate]) -> bool:
        """Whether there is no other instance than these."""
        return all(candidate in tried for candidate in self._candidates.values())

    def release(self, candidate: Candidate) -> None:
        """An attempt is over, however it ended."""
        candidate.outstanding -= 1

    def succeeded(self, candidate: Candidate) -> None:
        """A reply came, be it an error."""
        if not self.budget.full:
            self.budget.deposit()
        candidate.served = True
        if candidate.failures or candidate.ejected:
            candidate.failures = 0
            self._restore(candidate)

    def failed(self, candidate: Candidate, reason: str, *, at_least: float = 0.0) -> None:
        """An attempt failed at the instance: eject it for a while, which is longer each time, of `at_least` seconds."""
        candidate.failed += 1
        self._fail(candidate, reason, at_least)

    def _fail(self, candidate: Candidate, reason: str, at_least: float = 0.0) -> None:
        candidate.failures += 1
        # The exponent has a limit, as numbers have.
        growing = min(_FIRST_EJECTION * 2.0 ** min(candidate.failures - 1, 16), LONGEST_EJECTION)
        self._eject(candidate, max(growing, at_least) * self._random.uniform(1 - _JITTER, 1 + _JITTER), reason)

    def left(self, candidate: Candidate) -> None:
        """The instance ended a connection in good order: let others have the calls until it is known to go on."""
        if not candidate.ejected:
            self._eject(candidate, _LEAVE)

    def to_probe(self) -> list[Candidate]:
        """The ejected instances that nobody looks after yet; whoever asks does, by `probe_delay` and `probed`."""
        found = [one for one in self._candidates.values() if one.ejected and not one.probing]
        for candidate in found:
            candidate.probing = True
        return found

    def probe_delay(self, candidate: Candidate) -> float | None:
        """Seconds until an instance is to be looked at; None if that is needed no more, and nobody looks after it."""
        if candidate.ejected and not candidate.gone:
            return max(candidate.due - self._clock(), 0.0)
        candidate.probing = False
        return None

    def probed(self, candidate: Candidate, problem: str | None) -> None:
        """An instance was looked at: it works, or has a problem. Failures are forgotten only when a call succeeds."""
        if problem is None:
            self._restore(candidate)
        else:
            self._fail(candidate, problem)

    def start_over(self) -> None:
        """Forget the calls and probes that were under way: they were another process's, or another event loop's."""
        for candidate in self._candidates.values():
            candidate.outstanding = 0
            candidate.probing = False
        self.events.clear()
        self._sort()

    def _eject(self, candidate: Candidate, seconds: float, reason: str = "") -> None:
        candidate.due = self._clock() + seconds
        candidate.problem = reason
        if not candidate.ejected:
            candidate.ejected = True
            self._sort()
        if reason and not candidate.told:
            candidate.told = True
            self._tell("ejected", candidate, reason)

    def _restore(self, candidate: Candidate) -> None:
        if candidate.ejected:
            candidate.ejected = False
            candidate.problem = ""
            self._sort()
        if candidate.told:
            candidate.told = False
            self._tell("restored", candidate)

    def _sort(self) -> None:
        """Find out which instances are drawn from: of the lowest priority that has one, or all if all are ejected."""
        every = tuple(self._candidates.values())
        fit = [candidate for candidate in every if not candidate.ejected] or every
        first = min((candidate.listed.priority for candidate in fit), default=0)
        self._draw = tuple(candidate for candidate in fit if candidate.listed.priority == first)
        self._sole = self._draw[0] if len(self._draw) == 1 else None
        self._shares = tuple(accumulate(candidate.weight for candidate in self._draw))
        few_and_even = len(self._draw) <= _PAIRED and len({candidate.weight for candidate in self._draw}) == 1
        self._pairs = tuple(permutations(self._draw, 2)) if few_and_even else ()
        self.limited = any(candidate.limited for candidate in every)

    def _tell(self, kind: Kind, candidate: Candidate, reason: str = "") -> None:
        if not candidate.gone or kind in {"added", "removed"}:
            self.events.append(FleetEvent(kind, candidate.state(self._clock()), reason))


def probe_problem(error: Dropped | ShellError | TimeoutError) -> str:
    """What is wrong with an instance whose probe has ended so."""
    match error:
        case ConnectionFailed() | Dropped():
            return error.reason
        case ShellError():
            return error.message
    return "no reply in time"
