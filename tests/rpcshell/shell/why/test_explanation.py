"""How what is known of a call is laid out."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import pytest

from rpcshell.shell.timing import Timing
from rpcshell.shell.why.explanation import render_explanation
from rpcwire.control import ListenerStatus
from tests.rpcshell.shell.why.test_rules import META, evidence_of, then, worker


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        ((), "1 sync worker\n"),
        ((3,), "1 sync worker, 3 of 128 wait in the listen queue\n"),
        ((3, 4), "1 sync worker, 7 of 256 wait in 2 listen queues\n"),
    ],
)
def test_what_waits_at_all_listeners_is_told_as_one_number(waiting: Sequence[int], said: str) -> None:
    snapshot = then(worker(1))
    assert snapshot.status is not None
    listeners = [ListenerStatus("a:1", None, None), *(ListenerStatus("a:1", count, 128) for count in waiting)]
    now = msgspec.structs.replace(snapshot, status=msgspec.structs.replace(snapshot.status, listeners=listeners))
    assert said in "".join(text for _, text in render_explanation(evidence_of(now=now), 100))


def test_no_row_ends_between_a_figure_and_its_unit() -> None:
    evidence = evidence_of("m", timing=Timing(total=0.001, wait=0.001, service=0.0002), meta=META)
    for width in range(50, 100):
        shown = "".join(text for _, text in render_explanation(evidence, width))
        assert not re.search(r"^ +ms", shown, re.MULTILINE)
