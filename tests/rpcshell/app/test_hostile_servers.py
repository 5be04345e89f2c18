"""Single calls to servers that say nothing, or more than anybody hears: one line, and an end in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rpcshell.app.test_cli import run
from tests.rpcshell.hostile_servers import HOSTILE, UNANSWERED, hostile

PATIENCES = ("0.5", "2", "20")
"""Seconds; a busy machine may need longer for the greeting of who means to greet."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_single_call_ends_in_time_with_one_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    patience = iter(PATIENCES)
    while True:
        seconds = next(patience)
        with hostile(kind) as target:
            code, out, err = run(target, "--timeout", seconds, "-c", "x {}")
        if HOSTILE[kind] != UNANSWERED or "it did not greet within" not in err or seconds == PATIENCES[-1]:
            break
    assert (code, out) == (3, "")
    assert HOSTILE[kind].format(target=target) in err
    assert err.count("\n") == 1
