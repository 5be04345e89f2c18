"""Servers and load processes cost a fork."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import forks


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[forks.Forks]:
    with forks.in_place_of_interpreters() as started:
        yield started
