from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from rpcshell.lab.bench import report
from rpcshell.lab.bench.findings import findings
from rpcshell.lab.bench.measurement import Measurement
from rpcshell.lab.load.messages import InstanceShare
from rpcshell.view.histogram import bucket_of
from rpcshell.view.width import cells
from tests.rpcshell.lab.bench.measuring import measured

HOSTILE = "\x1b[31mred\x9b\u202e <b>bold</b>\nsecond line"


def told(measurement: Measurement) -> str:
    return " ".join(finding.text for finding in findings(measurement))


def report_text(measurement: Measurement, width: int) -> str:
    return "".join(piece for _, piece in report.pieces(measurement, width)).rstrip("\n")


def comparison_text(measurements: Sequence[Measurement], width: int) -> str:
    return "".join(piece for _, piece in report.comparison_pieces(measurements, width)).rstrip("\n")


def test_the_report_has_the_figures() -> None:
    text = report_text(measured(), 100)
    assert text.startswith('ping {"a":1}\n8 connections, closed loop · 8 sync workers · 127.0.0.1:8080\n')
    assert "1,000 calls/s   5,000 calls in 5.0 s" in text
    assert re.search(r"p50 100 µs   p90 20\d µs   p99 2\.0\d ms   p99\.9 50\.\d ms   max 50\.\d ms", text)
    assert "13.0 µs CPU a call   0.01 cores   51.2 MB" in text
    assert "11.0 µs CPU a call" in text
    assert re.search(r"^worker     1  625  12\.5 %  █+$", text, re.MULTILINE)


def test_instances_of_a_fleet_are_told_with_what_was_lost_there() -> None:
    shares = {
        "a:1": InstanceShare(calls=4000, latency={bucket_of(100_000): 4000}),
        "b:1": InstanceShare(failed=3, lost=2),
    }
    one = measured(workers={}, instances=shares)
    text = report_text(one, 80)
    assert re.search(r"^a:1 +4,000 +80\.0 % +\S+ \S+ +\S+ \S+ +0 +0$", text, re.MULTILINE)
    assert re.search(r"^b:1 +0 +0\.0 % +- +- +3 +2$", text, re.MULTILINE)
    assert "2 calls had no reply, and went to no other instance: b:1 (2)." in told(one)


def test_errors_are_told_by_kind_with_what_the_first_one_said() -> None:
    one = measured(
        problems={"timed out": 5, "error -32000": 500},
        examples={"error -32000": f"no {HOSTILE} for hunter22"},
        plan={"params": {"password": "hunter22"}},
    )
    text = report_text(one, 100)
    assert re.search(r"errors   505 \(10\.1 %\)\n +error -32000 \(500\): no .*\n +timed out \(5\)", text)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "hunter22" not in text


@pytest.mark.parametrize("width", [20, 38, 40, 61, 80, 99, 100, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    one = measured(
        problems={"error -32000": 500},
        examples={"error -32000": HOSTILE * 9},
        workers={1: 5000},
        plan={"method": "名" * 40, "connections": 12, "rate": 2000.0},
        unsent=17,
        interrupted=True,
    )
    for text in (report_text(one, width), comparison_text([one, measured(model="thread")], width)):
        assert [line for line in text.splitlines() if cells(line) > width] == []


def test_plots_appear_where_there_is_room() -> None:
    assert "calls/s over time" in report_text(measured(), 40)
    assert "calls/s over time" not in report_text(measured(), 39)
    beside = report_text(measured(), 100)
    assert re.search(r"^share of the calls by latency +calls/s over time$", beside, re.MULTILINE)


def test_the_latency_plot_shows_even_a_single_slow_call() -> None:
    text = report_text(measured(latencies={100e-6: 4999, 3.0: 1}), 80)
    bottom = next(line for line in text.splitlines() if line.lstrip().startswith("0 %┤"))
    assert bottom.endswith(("▄", "▗", "▖"))
    assert "   " in bottom.partition("┤")[2]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"interrupted": True}, "Stopped after 5.0 s of 5 s: these are the figures until then."),
        ({"plan": {"connections": 12}}, "12 connections for 8 sync workers: .* 4 had to wait"),
        ({"plan": {"rate": 2000.0}, "unsent": 5000}, r"did not keep up with 2,000 calls/s: 5,000 \(50\.0 %\)"),
        ({"workers": {1: 4000, 2: 1000}}, "Worker 1 answered 80.0 % of the calls, .* 6 workers answered none"),
        ({"plan": {"connections": 2}}, "2 connections can keep at most 2 of 8 workers busy"),
        ({"client_cpu": 4.9}, "The load itself was the limit: 1 load process used 0.98 of 1 processor core"),
        ({"problems": {"error -32000": 5000}}, "Every call went wrong"),
        ({"problems": {"lost": 5}}, r"0\.10 % of the calls went wrong"),
        ({"use": {"died": 2, "lost": 1}}, "2 workers died meanwhile; 1 call was lost with them."),
        ({"rates": [100.0] * 8 + [0.0] * 4 + [100.0] * 8}, "No call was answered from 2.0 s to 3.0 s."),
        ({"latencies": {1e-4: 990, 1.0: 10}}, "The slowest call took 1.00 s. A closed loop begins nothing"),
        ({"rates": (), "latencies": {}, "workers": {}}, "No call was answered"),
    ],
)
def test_what_is_easily_missed_is_said(fields: dict[str, Any], sentence: str) -> None:
    assert re.search(sentence, told(measured(**fields)))


def test_nothing_is_said_where_nothing_is_worth_it() -> None:
    assert told(measured()) == ""
    assert told(measured(model=None, plan={"connections": 99})) == ""
    # It is the wait for a worker, and not a stall that the loop hides.
    assert "closed loop" not in told(measured(latencies={1e-4: 990, 1.0: 10}, plan={"connections": 9}))
    # Where one call a second is due, nothing is to be answered in between.
    assert told(measured(rates=[4.0, 0.0, 0.0, 0.0] * 5, plan={"rate": 1.0}, workers={})) == ""
    # At a rate that is kept up, the load has done all that was asked of it.
    assert told(measured(plan={"rate": 1000.0}, client_cpu=4.9)) == ""


def test_models_stand_side_by_side() -> None:
    slow, fast = measured(), measured(rates=[2996.0 + at % 3 * 4 for at in range(21)], model="thread")
    text = comparison_text([slow, fast, slow, fast], 90)
    header, _, *rows = text.splitlines()
    assert header.split("  ") != [header]
    assert [row.split()[:2] for row in rows[:2]] == [["sync", "1,000"], ["thread", "3,000"]]
    assert "thread is ahead: 3.0 times the calls/s of sync, beyond the noise" in text


def test_a_difference_within_the_noise_of_the_rounds_is_no_lead() -> None:
    rounds = [measured(rates=[rate] * 20, model=model) for model, rate in (("sync", 1000.0), ("pool", 1010.0))]
    rounds += [measured(rates=[rate] * 20, model=model) for model, rate in (("sync", 1200.0), ("pool", 1150.0))]
    text = comparison_text(rounds, 200)
    assert re.search(
        r"(sync and pool|pool and sync) are level in calls/s: 1\.\d % apart, within the noise of \d+", text
    )


def test_runs_that_are_too_short_tell_nothing_of_noise() -> None:
    runs = [measured(rates=[rate] * 3, model=model) for model, rate in (("sync", 1000.0), ("pool", 2000.0))]
    assert "the runs are too short to tell" in comparison_text(runs, 200)


def test_at_a_rate_that_all_keep_up_latency_decides() -> None:
    runs = [
        measured(model=model, latencies={p99: 1}, plan={"rate": 1000.0})
        for model, p99 in (("sync", 3e-3), ("pool", 1e-3))
    ]
    assert "All keep up with 1,000 calls/s." in comparison_text(runs, 200)
    assert "is ahead" not in comparison_text(runs, 200)


def test_who_only_fails_is_not_ahead() -> None:
    failing = measured(rates=[9000.0] * 20, problems={"error -32000": 45_000}, model="fork")
    text = comparison_text([failing, measured(), measured(model="pool")], 120)
    assert "fork: no call succeeded." in text
    assert "fork is ahead" not in text


def test_what_the_machine_does_to_all_models_of_a_round_is_no_noise() -> None:
    rounds = [
        measured(rates=[rate * share + at] * 20, model=model)
        for at, share in enumerate((1.0, 0.5, 0.7))
        for model, rate in (("sync", 1000.0), ("pool", 1300.0))
    ]
    assert "pool is ahead: 30." in comparison_text(rounds, 200)


def test_which_model_to_take_is_said_in_a_sentence() -> None:
    def advice(*models: tuple[str, float, float, int], plan: dict[str, Any] | None = None) -> str:
        rounds = [
            measured(
                rates=[rate * share] * 20,
                latencies={p99: 1},
                model=model,
                use={"memory": memory, "workers": len(model)},
                plan=plan,
            )
            for share in (1.0, 0.9, 1.1)
            for model, rate, p99, memory in models
        ]
        (said,) = re.findall(r"Take .*", comparison_text(rounds, 300))
        return str(said)

    assert (
        advice(("sync", 1000, 1e-3, 1), ("async", 2000, 2e-3, 9))
        == "Take async with 5 workers: it answers the most calls/s."
    )
    level = "it answers as many calls/s as"
    said = advice(("sync", 1000, 1e-3, 9), ("pool", 1005, 3e-3, 1))
    assert said == f"Take sync with 4 workers: {level} pool, and has the lowest p99."
    said = advice(("sync", 1000, 1e-3, 9), ("pool", 1005, 1e-3, 1))
    assert said == f"Take pool with 4 workers: {level} sync, and takes the least memory of those that are as quick."
    assert (
        advice(("sync", 1000, 3e-3, 1), ("thread", 1000, 1e-3, 9), plan={"rate": 900.0})
        == "Take thread with 6 workers: it keeps up as all do, and has the lowest p99."
    )
    short = [measured(rates=[rate] * 3, model=model) for model, rate in (("sync", 1000.0), ("pool", 2000.0))]
    text = comparison_text(short, 200)
    assert "Take " not in text
    assert "These rounds do not tell which to take" in text


def test_rounds_that_are_too_loud_say_once_what_would_tell() -> None:
    rounds = [
        measured(rates=[rate] * 20, model=model)
        for at in range(3)
        for model, rate in (("sync", (900.0, 1300.0, 1000.0)[at]), ("pool", 800.0), ("fork", (90.0, 1200.0, 300.0)[at]))
    ]
    text = comparison_text(rounds, 300)
    assert "level in calls/s" in text
    assert text.count("more and longer") == 1
    assert "More and longer" not in text


def test_models_that_have_different_numbers_of_workers_show_them() -> None:
    runs = [measured(model=model, use={"workers": workers}) for model, workers in (("sync", 64), ("async", 2))]
    rows = [line.split() for line in comparison_text(runs, 200).splitlines()]
    assert rows[0][:2] == ["model", "workers"]
    assert [row[:2] for row in rows[2:4]] == [["sync", "64"], ["async", "2"]]
    assert "workers" not in comparison_text([measured(), measured(model="pool")], 200).splitlines()[0]
