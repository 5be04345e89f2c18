"""What importing the package brings along, and what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rpcserver


def modules_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.split())


HEAVY = {"asyncio", "click", "concurrent.futures", "json", "logging.config", "prompt_toolkit", "rich", "socket"}


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    "statement",
    [
        "import rpcserver",
        "import rpcserver.service.dispatch, rpcserver.service.loader",
        "import rpcserver.testing.demo",
    ],
)
def test_importing_the_service_side_stays_light(statement: str) -> None:
    assert not modules_after(statement) & HEAVY


def test_serving_plain_handlers_needs_no_event_loop() -> None:
    statement = (
        "from rpcserver import *\n"
        "from rpcserver.service.dispatch import Dispatcher\n"
        "from rpcserver.service.loader import load_service\n"
        "dispatcher = Dispatcher(load_service(None), WorkerInfo(1, 1, 1, 'sync')); dispatcher.hooks.start_worker()\n"
        'assert b"pong" in dispatcher.answer(b\'{"in":"ping"}\', Peer("")); dispatcher.hooks.stop_worker()'
    )
    assert not modules_after(statement) & {"asyncio", "concurrent.futures"}


def test_what_the_package_offers_is_there() -> None:
    assert sorted(rpcserver.__all__) == rpcserver.__all__
    for name in rpcserver.__all__:
        assert getattr(rpcserver, name).__module__.startswith("rpcserver.")
