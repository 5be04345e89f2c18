"""The pytest plugin, in runs of pytest of its own: as few as will do, for each takes a second."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PATIENCE

SERVICE = """
from rpcserver import Service
service = Service("shop")

@service.method
def price(item: str) -> float:
    print("looking for", item)
    return 2.5
"""


TESTS = """
import pytest
from shop import service

def test_two_lines(rpc_server):
    assert rpc_server(service).call("price", {"item": "tea"}) == 2.5

@pytest.mark.parametrize("model", ["sync", "thread", "async"])
def test_several(rpc_server, model):
    first, second = rpc_server(service, model=model, workers=1), rpc_server(service)
    assert first.address != second.address
    assert first.call("price", ["tea"]) == second.call("price", ["tea"]) == 2.5

ran = []
def test_first(rpc_server):
    ran.append(rpc_server(service))

def test_after_the_first():
    assert ran[0].wait(0)

def test_wrong(rpc_server):
    assert rpc_server(service).call("price", ["coffee"]) == 3
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(SERVICE)
    (folder / "test_shop.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE * 3)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one run of all the tests says about each of them."""
    done = run(tmp_path_factory.mktemp("shop"), "-rA")
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_handlers_are_tested_in_two_lines(report: str) -> None:
    assert "PASSED test_shop.py::test_two_lines\n" in report


def test_a_test_may_start_several_servers_and_choose_how_they_serve(report: str) -> None:
    assert report.count("PASSED test_shop.py::test_several[") == 3


def test_a_failing_test_shows_the_servers_log_and_what_handlers_print(report: str) -> None:
    assert "FAILED test_shop.py::test_wrong - " in report
    failures = report.partition("= FAILURES =")[2].partition("= PASSES =")[0]
    assert "Captured log of the server at 127.0.0.1:" in failures
    assert "listening on 127.0.0.1:" in failures
    assert "looking for coffee" in failures


def test_a_passing_test_shows_no_log(report: str) -> None:
    passes = report.partition("= PASSES =")[2]
    assert "PASSED test_shop.py::test_first\n" in passes
    assert report.count("Captured log of the server") == 1
    assert "Captured log of the server" not in passes


def test_servers_of_one_test_do_not_stay_for_the_next(report: str) -> None:
    assert "PASSED test_shop.py::test_after_the_first\n" in report


@pytest.mark.parametrize("capture", ["sys", "no"])
def test_any_way_of_capturing_output_will_do(tmp_path: Path, capture: str) -> None:
    done = run(tmp_path, f"--capture={capture}", "-k", "two_lines")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1


def test_the_fixture_describes_itself(tmp_path: Path) -> None:
    done = run(tmp_path, "--fixtures")
    assert "rpc_server" in done.stdout
    assert "Start servers with real worker processes" in done.stdout


def test_the_plugin_costs_a_run_that_does_not_use_it_next_to_nothing(tmp_path: Path) -> None:
    program = (
        "import pytest, sys; before = set(sys.modules); import rpcserver.testing.pytest_plugin; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    heavy = {
        "asyncio",
        "click",
        "uvloop",
        "prometheus_client",
        "watchfiles",
        "multiprocessing",
        "rpcserver.arbiter.arbiter",
    }
    assert not set(done.stdout.split()) & {
        *heavy,
        "rpcserver.testing.server",
        "rpcserver.system.settings",
        "rpcserver.service.dispatch",
    }
