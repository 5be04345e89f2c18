from __future__ import annotations

from collections.abc import Iterator

import pytest

from .calling import RUNNER


@pytest.fixture(scope="session", autouse=True)
def no_loop_is_left_running() -> Iterator[None]:
    yield
    RUNNER.close()
