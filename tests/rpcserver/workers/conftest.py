"""What tests of several worker models begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rpcserver.steering import Gate


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)
