"""The pytest plugin: the fixture `rpc_server`, and the server's log in the reports of tests that fail.

pytest imports this module at every start where rpcserver is installed, also for projects that do not use it. So it
stands alone: it costs next to nothing, and a project may have an `rpcserver` of its own. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import pluggy

    from rpcserver.testing import RunningServer

_SERVERS: pytest.StashKey[list[RunningServer]] = pytest.StashKey()


@pytest.fixture
def rpc_server(request: pytest.FixtureRequest) -> Iterator[Callable[..., RunningServer]]:
    """Start servers with real worker processes: `rpc_server(service, model="sync", workers=2)`.

    It takes what `rpcserver.testing.serve` takes and returns its `RunningServer`. The servers end with the test.
    """
    try:
        from rpcserver.testing import serve
    except ImportError as error:
        found = find_spec("rpcserver")
        where = None if found is None else found.origin
        pytest.fail(f"rpc_server needs the package rpcserver, and imports {where}: {error}", pytrace=False)
    servers = request.node.stash.setdefault(_SERVERS, [])
    with contextlib.ExitStack() as running:

        def start(app: Any, **settings: Any) -> RunningServer:
            server = running.enter_context(serve(app, **settings))
            servers.append(server)
            return server

        yield start


@pytest.hookimpl(hookwrapper=True)  # `wrapper` is newer than pytest 7
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """Show what the test's servers have logged, where the test has failed."""
    report = (yield).get_result()
    if call.when == "call" and report.failed:
        for server in item.stash.get(_SERVERS, []):
            report.sections.append((f"Captured log of the server at {server.address}", server.log()))
