"""Which instance gets a call, and which are left out: without a network, and with a clock of the test's own."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from rpcshell import ConnectionFailed, TcpTarget, TlsTarget
from rpcshell.client.diagnosis import NO_TLS
from rpcshell.client.fleet.balancer import LONGEST_EJECTION, Balancer, RetryBudget
from rpcshell.client.fleet.failover import Failover
from rpcshell.client.fleet.instances import Candidate, Listed
from tests.steps import steps

TARGETS = [TcpTarget(f"h{number}", 1) for number in range(5)]


def listed(*weights: int, model: str = "async", workers: int = 2) -> list[Listed]:
    return [
        Listed(target, weight, model=model, workers=workers) for target, weight in zip(TARGETS, weights, strict=False)
    ]


def balancer_of(*found: Listed, seed: int = 1) -> Balancer:
    balancer = Balancer(lambda: 0.0, Random(seed))
    balancer.replace(found)
    return balancer


def chosen(balancer: Balancer, tried: frozenset[Candidate] = frozenset()) -> Candidate:
    candidate = balancer.choose(tried)
    assert candidate is not None
    return candidate


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 1), (1, 3), (5, 1, 2)])
def test_calls_one_after_the_other_are_shared_out_by_weight(weights: tuple[int, ...]) -> None:
    balancer = balancer_of(*listed(*weights))
    counts: Counter[object] = Counter()
    for _ in range(6000):
        candidate = chosen(balancer)
        counts[candidate.target] += 1
        balancer.release(candidate)
    for target, weight in zip(TARGETS, weights, strict=False):
        assert counts[target] / 6000 == pytest.approx(weight / sum(weights), abs=0.03)


@given(weights=st.lists(st.integers(1, 9), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_calls_at_once_go_where_few_are_under_way(weights: list[int], seed: int) -> None:
    balancer = balancer_of(*listed(*weights), seed=seed)
    for _ in range(200):
        chosen(balancer)
    full = max(candidate.outstanding / candidate.weight for candidate in balancer.candidates)
    # With two choices the fullest has hardly more than its share (Mitzenmacher); at random it would have twice as much.
    assert full * sum(weights) <= 200 * 1.5 + 2 * sum(weights)


def test_which_instance_is_next_takes_as_much_work_among_thousands_as_among_few() -> None:
    def work(count: int) -> int:
        many = (Listed(TcpTarget("h", 1 + number), model="sync", workers=2) for number in range(count))
        balancer = balancer_of(*many)
        return steps(balancer.choose)

    assert work(2000) == work(200) < 3 * work(3)


@pytest.mark.parametrize("known", [False, True])
def test_whether_it_is_the_port_of_tls_is_asked_only_of_who_has_not_answered_yet(known: bool) -> None:
    balancer = balancer_of(Listed(TlsTarget("h", 1)))
    candidate = chosen(balancer)
    if known:
        balancer.succeeded(candidate)
    failover = Failover(balancer, candidate.target, idempotent=False)
    with pytest.raises(ConnectionFailed) as caught:
        failover.failed(candidate, ConnectionFailed(candidate.target, "no TLS handshake", hint=NO_TLS), whole=True)
    assert caught.value.hint == (None if known else NO_TLS)


def test_a_weight_of_zero_counts_as_one() -> None:
    balancer = balancer_of(*listed(0, 0))
    assert {chosen(balancer).target for _ in range(50)} == set(TARGETS[:2])


def test_the_lowest_priority_gets_all_calls_until_it_fails() -> None:
    first, second = (Listed(target, priority=priority) for priority, target in enumerate(TARGETS[:2]))
    balancer = balancer_of(second, first)
    assert {chosen(balancer).target for _ in range(20)} == {first.target}
    balancer.failed(balancer.candidates[1], "refused")
    assert {chosen(balancer).target for _ in range(20)} == {second.target}


def test_failures_in_a_row_eject_for_twice_as_long_up_to_a_limit() -> None:
    now = 0.0
    balancer = Balancer(lambda: now, Random(1))
    balancer.replace(listed(1, 1))
    candidate = balancer.candidates[0]
    delays = []
    for _ in range(2000):
        balancer.failed(candidate, "refused")
        delays.append(candidate.due - now)
        now = candidate.due
    assert delays[:4] == [pytest.approx(0.5 * 2**number, rel=0.2) for number in range(4)]
    assert all(delay == pytest.approx(LONGEST_EJECTION, rel=0.2) for delay in delays[7:])
    assert len(set(delays)) == len(delays)


def test_a_probe_brings_back_who_works_and_only_a_call_that_succeeds_clears_its_name() -> None:
    now = 0.0
    balancer = Balancer(lambda: now, Random(1))
    balancer.replace(listed(1, 1))
    balancer.events.clear()
    candidate = balancer.candidates[0]
    balancer.failed(candidate, "refused")
    assert balancer.to_probe() == [candidate]
    assert balancer.to_probe() == []
    state = balancer.states[0]
    assert (state.ejected, state.problem, state.failed, state.due) == (True, "refused", 1, candidate.due)
    balancer.probed(candidate, "refused again")
    state = balancer.states[0]
    assert (state.problem, state.failed, state.failures) == ("refused again", 1, 2)
    delay = balancer.probe_delay(candidate)
    assert delay is not None
    now += delay
    assert balancer.probe_delay(candidate) == 0
    balancer.probed(candidate, None)
    assert balancer.probe_delay(candidate) is None
    assert (candidate.ejected, candidate.failures) == (False, 2)
    assert (balancer.states[0].problem, balancer.states[0].due) == ("", 0)
    balancer.succeeded(candidate)
    assert candidate.failures == 0
    assert [(event.kind, event.reason) for event in balancer.events] == [("ejected", "refused"), ("restored", "")]


def test_who_ends_a_connection_in_good_order_is_left_out_without_a_word() -> None:
    balancer = balancer_of(*listed(1, 1))
    balancer.events.clear()
    balancer.left(balancer.candidates[0])
    assert {chosen(balancer).target for _ in range(20)} == {TARGETS[1]}
    balancer.probed(balancer.candidates[0], None)
    assert not balancer.events


def test_changes_are_told_with_what_is_true_then() -> None:
    balancer = balancer_of(*listed(1, 1))
    gone = balancer.candidates[0]
    balancer.events.clear()
    assert balancer.replace([Listed(TARGETS[1], 4), Listed(TARGETS[2])]) == (gone,)
    told = {(event.kind, event.instance.target, event.instance.weight) for event in balancer.events}
    assert told == {("updated", TARGETS[1], 4), ("added", TARGETS[2], 1), ("removed", TARGETS[0], 1)}


@given(st.lists(st.booleans()))
def test_retries_are_a_share_of_the_calls_that_succeed(asked: list[bool]) -> None:
    budget = RetryBudget()
    spent = succeeded = 0
    for retry in asked * 5:
        if retry:
            spent += budget.withdraw()
        else:
            budget.deposit()
            succeeded += 1
        assert 0 <= budget.tokens <= 10
    assert spent <= 10 + 0.2 * succeeded + 1e-6


class Choices(RuleBasedStateMachine):
    """Calls, failures, probes and changes of the list in any order."""

    calls = Bundle("calls")
    probes = Bundle("probes")

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.now = 0.0
        self.balancer = Balancer(lambda: self.now, Random(seed))
        self.under_way: Counter[Candidate] = Counter()

    @rule(
        found=st.lists(
            st.builds(
                Listed,
                st.sampled_from(TARGETS),
                st.integers(0, 3),
                st.integers(0, 1),
                st.sampled_from(["sync", "async", ""]),
                st.integers(0, 2),
            ),
            unique_by=lambda one: one.target,
        )
    )
    def change(self, found: list[Listed]) -> None:
        former = self.balancer.candidates
        gone = self.balancer.replace(found)
        if not found:
            assert self.balancer.candidates == former
            assert gone == ()
        else:
            assert [candidate.listed for candidate in self.balancer.candidates] == found
            assert set(gone) == set(former) - set(self.balancer.candidates)

    @rule(target=calls, avoid=st.sets(st.integers(0, 4), max_size=4))
    def call(self, avoid: set[int]) -> object:
        every = self.balancer.candidates
        tried = frozenset(every[number] for number in avoid if number < len(every))
        if self.balancer.exhausted(tried):
            return multiple()
        candidate = self.balancer.choose(tried)
        untried = [one for one in every if one not in tried]
        if candidate is None:
            assert any(one.outstanding >= one.limit for one in untried)
            return multiple()
        self.under_way[candidate] += 1
        assert candidate in untried
        assert candidate.outstanding <= candidate.limit
        if candidate.ejected:
            # Only where there is nobody better.
            assert all(one.ejected or one.listed.priority > min(o.listed.priority for o in every) for one in untried)
        return candidate

    @rule(candidate=consumes(calls), how=st.sampled_from(["replied", "failed", "left"]))
    def end(self, candidate: Candidate, how: str) -> None:
        self.under_way[candidate] -= 1
        if how == "replied":
            self.balancer.succeeded(candidate)
            assert not candidate.ejected
            assert candidate.failures == 0
        elif how == "failed":
            self.balancer.failed(candidate, "lost")
            assert candidate.ejected
        else:
            self.balancer.left(candidate)
            assert candidate.ejected
        self.balancer.release(candidate)

    @rule(target=probes)
    def look_after(self) -> object:
        return multiple(*self.balancer.to_probe())

    @rule(candidate=consumes(probes), works=st.booleans())
    def probe(self, candidate: Candidate, works: bool) -> None:
        delay = self.balancer.probe_delay(candidate)
        if delay is None:
            assert not candidate.ejected or candidate not in self.balancer.candidates
            return
        self.now += delay
        self.balancer.probed(candidate, None if works else "refused")
        assert candidate.ejected is not works
        assert (self.balancer.probe_delay(candidate) is None) is works
        candidate.probing = False

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def counts_hold(self) -> None:
        if hasattr(self, "balancer"):
            for candidate in self.balancer.candidates:
                assert candidate.outstanding == self.under_way[candidate]
                assert candidate.due - self.now <= LONGEST_EJECTION * 1.2


TestChoices = Choices.TestCase
TestChoices.settings = settings(stateful_step_count=25)
