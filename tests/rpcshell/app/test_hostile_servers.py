"""Single calls to servers that say nothing, or more than anybody hears: one line, and an end in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rpcshell.app.test_cli import run
from tests.rpcshell.hostile_servers import HOSTILE, NEVER, hostile


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_single_call_ends_in_time_with_one_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with hostile(kind) as target:
        # Enough for a greeting of who means to greet, on a busy machine.
        seconds = "1" if HOSTILE[kind] == NEVER else "5"
        code, out, err = run(target, "--timeout", seconds, "-c", "x {}")
    assert (code, out) == (3, "")
    assert HOSTILE[kind].format(target=target) in err
    assert err.count("\n") == 1
