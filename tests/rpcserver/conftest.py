from __future__ import annotations

from collections.abc import Iterator

import pytest

from rpcserver.system.addresses import TcpBind
from rpcserver.system.sockets import Listener, open_listeners
from tests.rpcserver.calling import RUNNER


@pytest.fixture
def listener() -> Iterator[Listener]:
    (listener,) = open_listeners([TcpBind("127.0.0.1", 0)], backlog=64, unix_mode=0o600)
    yield listener
    listener.close()


@pytest.fixture(scope="session", autouse=True)
def no_loop_is_left_running() -> Iterator[None]:
    yield
    RUNNER.close()


@pytest.fixture(scope="session", autouse=True)
def control_sockets_are_made_where_they_vanish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        yield
