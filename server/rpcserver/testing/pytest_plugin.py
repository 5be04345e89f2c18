"""The pytest plugin: the fixture `rpc_server`, and the server's log in the reports of tests that fail.

pytest imports this module at every start where rpcserver is installed, so it imports nothing more than it must.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from rpcserver.testing import RunningServer

_SERVERS: pytest.StashKey[list[RunningServer]] = pytest.StashKey()


@pytest.fixture
def rpc_server(request: pytest.FixtureRequest) -> Iterator[Callable[..., RunningServer]]:
    """Start servers with real worker processes: `rpc_server(service, model="sync", workers=2)`.

    It takes what `rpcserver.testing.serve` takes and returns its `RunningServer`. The servers end with the test.
    """
    from rpcserver.testing import serve

    servers = request.node.stash.setdefault(_SERVERS, [])
    with contextlib.ExitStack() as running:

        def start(app: Any, **settings: Any) -> RunningServer:
            server = running.enter_context(serve(app, **settings))
            servers.append(server)
            return server

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the test's servers have logged, where the test has failed."""
    report = yield
    if call.when == "call" and report.failed:
        for server in item.stash.get(_SERVERS, []):
            report.sections.append((f"Captured log of the server at {server.address}", server.log()))
    return report
