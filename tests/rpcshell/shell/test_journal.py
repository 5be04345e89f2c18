from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.errors import CallError, Cancelled, ConnectionLost, NotConnected
from rpcshell.client.target import Target, TcpTarget
from rpcshell.client.trace import CallTrace
from rpcshell.shell.call import Call
from rpcshell.shell.journal import CallStatistics, Journal
from rpcwire import Meta, Reply

META = Meta(3, 4711, 0, "sync", 12, 1)


def record(params: Any = None, result: Any = None, line: str = "m") -> Call:
    reply = Reply("m", result, meta=META)
    return Call(method="m", params=params, line=line, reply=reply, elapsed=0.5, began=1000.0, target="localhost:1")


def test_calls_are_numbered_and_the_oldest_are_forgotten() -> None:
    journal = Journal(most=3)
    for number in range(1, 6):
        assert journal.add(record(number)).number == number
    assert [(kept.number, kept.params) for kept in journal] == [(3, 3), (4, 4), (5, 5)]
    assert len(journal) == 3


def test_a_good_reply_is_kept_whole() -> None:
    kept = Journal().add(record({"a": 1}, [1, 2], "m a=1"))
    assert kept.reply is not None
    assert (kept.line, kept.method, kept.params, kept.reply.result) == ("m a=1", "m", {"a": 1}, [1, 2])
    assert (kept.outcome, kept.error, kept.code, kept.elapsed, kept.meta) == ("ok", None, None, 0.5, META)


@pytest.mark.parametrize(
    ("error", "outcome", "code", "elapsed"),
    [
        (CallError("no", code=422, elapsed=0.25), "error", 422, 0.25),
        (ConnectionLost(TcpTarget("h", 1), "gone", may_have_run=True), "failed", None, 2.0),
        (Cancelled("cancelled"), "cancelled", None, 2.0),
    ],
)
def test_what_went_wrong_is_kept(error: Any, outcome: str, code: int | None, elapsed: float) -> None:
    kept = Journal().add(Call(method="m", params={}, error=error, elapsed=elapsed))
    assert (kept.outcome, kept.error, kept.code, kept.elapsed) == (outcome, error, code, elapsed)


@pytest.mark.parametrize("large", ["x" * 2000, ["y"] * 2000, {str(at): at for at in range(500)}, [[["x" * 1500]]]])
def test_large_values_are_not_kept(large: Any) -> None:
    journal = Journal(largest=1000)
    kept = journal.add(record(params={"a": 1}, result=large))
    assert (kept.has_params, kept.has_result) == (True, False)
    assert kept.reply is not None
    assert (kept.reply.out, kept.reply.result) == ("m", None)
    kept = journal.add(record(params=large, result=1, line="m " + "x" * 20_000))
    assert (kept.params, kept.has_params, kept.has_result) == (None, False, True)
    assert len(kept.line) < 10_010


def test_a_call_without_a_server_is_remembered_but_not_counted() -> None:
    journal = Journal()
    kept = journal.add(Call(method="m", error=NotConnected(), elapsed=0.0))
    assert (journal.last, journal.statistics.calls) == (kept, 0)
    journal.add(record())
    assert journal.statistics.calls == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_small_values_of_any_kind_are_kept(value: Any) -> None:
    kept = Journal().add(record(value, value))
    assert kept.has_params
    assert kept.reply is not None
    assert kept.reply.result == value


def called(method: str, outcome: str = "ok", *, elapsed: float = 0.001, worker: int | None = 1) -> Call:
    meta = None if worker is None else Meta(worker, 100 + worker, 0, "sync", 500, 1)
    error = {"ok": None, "error": CallError("no", code=1, meta=meta), "cancelled": Cancelled("cancelled")}[outcome]
    reply = Reply(method, None, meta=meta) if error is None else None
    return Call(method=method, target="a:1", elapsed=elapsed, reply=reply, error=error)


def test_a_service_time_longer_than_the_call_is_as_none_was_told() -> None:
    meta = Meta(worker=1, pid=1, generation=0, model="sync", service_us=2**63 - 1, served=1)
    call = Call(method="m", elapsed=0.5, reply=Reply("m", 1, meta=meta))
    statistics = CallStatistics()
    statistics.add(call)
    assert call.service is None
    assert call.timing.service is None
    assert statistics.methods["m"].served == 0


def test_an_instance_is_not_given_the_time_that_others_took() -> None:
    trace = CallTrace()
    trace.attempt_begun(Target.parse("a:1"))
    trace.attempt_failed("no reply in time", may_have_run=True)
    trace.attempt_begun(Target.parse("b:1"))
    trace.went, trace.ended = 12.0, 12.5
    statistics = CallStatistics()
    statistics.add(Call(method="m", elapsed=3.0, trace=trace, reply=Reply("m", 1)))
    assert statistics.times_of("b:1").percentile(50) == pytest.approx(0.5, rel=0.02)
    assert statistics.methods["m"].times.percentile(50) == pytest.approx(3.0, rel=0.02)


def test_workers_without_end_are_not_told_apart() -> None:
    statistics = CallStatistics()
    for number in range(5000):
        statistics.add(called("m", worker=number))
    assert len(statistics.workers) <= 1001
    assert statistics.methods["m"].calls == 5000


def test_calls_are_counted_by_method_and_by_worker() -> None:
    statistics = CallStatistics()
    for number in range(98):
        statistics.add(called("ping", worker=1 + number % 2))
    statistics.add(called("ping", elapsed=0.5))
    statistics.add(called("ping", elapsed=0.5))
    statistics.add(called("add", "error", worker=2))
    statistics.add(called("add", "cancelled", elapsed=60.0, worker=None))
    ping, add = statistics.methods["ping"], statistics.methods["add"]
    assert (ping.calls, ping.errors, ping.unanswered) == (100, 0, 0)
    assert ping.times.percentile(50) == pytest.approx(0.001, rel=0.02)
    assert ping.times.percentile(99) == pytest.approx(0.5, rel=0.02)
    assert (add.calls, add.errors, add.unanswered) == (2, 1, 1)
    assert add.times.largest < 1, "how long a call hung says nothing of how long calls take"
    assert {key: counted.calls for key, counted in statistics.workers.items()} == {
        ("a:1", 1): 51,
        ("a:1", 2): 50,
        ("a:1", None): 1,
    }
    one = statistics.workers["a:1", 1]
    assert one.pid == 101
    assert one.service / one.served == pytest.approx(0.0005)
    assert (statistics.calls, statistics.errors, statistics.unanswered) == (102, 1, 1)
    statistics.reset()
    assert (statistics.calls, statistics.workers) == (0, {})
