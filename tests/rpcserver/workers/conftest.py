"""What tests of several worker models begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import gates


@pytest.fixture
def gate(tmp_path: Path) -> list[str]:
    """The params of a call of `gate`, which waits until its `leave` is written to."""
    return list(map(str, gates(tmp_path)))
