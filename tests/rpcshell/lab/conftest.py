"""Servers and load processes cost a fork."""

from __future__ import annotations

import pytest

from tests.forks import Forks


@pytest.fixture(scope="module", autouse=True)
def _forked(forked: Forks) -> None:
    """Whatever a test in this room starts."""
