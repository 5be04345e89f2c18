from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rpcserver.calling import RUNNER


@pytest.fixture(scope="session", autouse=True)
def no_loop_is_left_running() -> Iterator[None]:
    yield
    RUNNER.close()


@pytest.fixture(scope="session", autouse=True)
def control_sockets_are_made_where_they_vanish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        yield
