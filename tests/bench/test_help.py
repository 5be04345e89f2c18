"""Each benchmark says how it is called; that needs nothing of what it measures."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = [path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef main()" in path.read_text()]


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_a_benchmark_lists_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        import_module(f"tests.bench.{name}").main()
    assert ended.value.code == 0
    assert "options:" in capsys.readouterr().out
