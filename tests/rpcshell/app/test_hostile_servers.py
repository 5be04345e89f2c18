"""Single calls to servers that say nothing, or more than anybody hears: one line, and an end in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rpcshell.app.test_cli import run
from tests.rpcshell.hostile_servers import HOSTILE, UNANSWERED, hostile


@pytest.mark.samples(3)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_single_call_ends_in_time_with_one_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    target, code, out, err = called(kind, 0.5, 2, 20)
    assert (code, out) == (3, "")
    assert HOSTILE[kind].format(target=target) in err
    assert err.count("\n") == 1


def called(kind: str, seconds: float, *more: float) -> tuple[str, int, str, str]:
    """The target of a call and what came of it; again with more time where a busy server had none to greet."""
    with hostile(kind) as target:
        code, out, err = run(target, "--timeout", seconds, "-c", "x {}")
    if more and HOSTILE[kind] == UNANSWERED and "it did not greet within" in err:
        return called(kind, *more)
    return target, code, out, err
