"""The pytest plugin, in runs of pytest of its own: as few as will do, for each takes half a second."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
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
from shop import service

ran = []

def test_two_lines(rpc_server):
    assert rpc_server(service).call("price", {"item": "tea"}) == 2.5

def test_several(rpc_server):
    first, second = rpc_server(service, model="async", workers=1), rpc_server(service, workers=1)
    ran.extend([first, second])
    assert (first.model, second.model) == ("async", "sync")
    assert first.address != second.address
    assert first.call("price", ["tea"]) == second.call("price", ["tea"]) == 2.5

def test_after_several():
    assert all(server.wait(0) for server in ran) and len(ran) == 2

def test_wrong(rpc_server):
    assert rpc_server(service, workers=1).call("price", ["coffee"]) == 3
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a project with no plugin but this one, as others take longer to load than all of its tests."""
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    others = {found.name for found in entry_points(group="pytest11")} - {"rpcserver"}
    without = [option for name in ("cacheprovider", *sorted(others)) for option in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", *without, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE * 3)


def run_shop(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(SERVICE)
    (folder / "test_shop.py").write_text(TESTS)
    return run(folder, *arguments)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one run of all the tests says about each of them."""
    done = run_shop(tmp_path_factory.mktemp("shop"), "-rA")
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_handlers_are_tested_in_two_lines(report: str) -> None:
    assert "PASSED test_shop.py::test_two_lines\n" in report


def test_a_test_may_start_several_servers_and_choose_how_they_serve(report: str) -> None:
    assert "PASSED test_shop.py::test_several\n" in report


def test_a_failing_test_shows_the_servers_log_and_what_handlers_print(report: str) -> None:
    assert "FAILED test_shop.py::test_wrong - " in report
    failures = report.partition("= FAILURES =")[2].partition("= PASSES =")[0]
    assert "Captured log of the server at 127.0.0.1:" in failures
    assert "listening on 127.0.0.1:" in failures
    assert "looking for coffee" in failures


def test_a_passing_test_shows_no_log(report: str) -> None:
    passes = report.partition("= PASSES =")[2]
    assert "PASSED test_shop.py::test_two_lines\n" in passes
    assert report.count("Captured log of the server") == 1
    assert "Captured log of the server" not in passes


def test_servers_of_one_test_do_not_stay_for_the_next(report: str) -> None:
    assert "PASSED test_shop.py::test_after_several\n" in report


@pytest.mark.thorough
@pytest.mark.parametrize("capture", [pytest.param("sys", marks=pytest.mark.thorough), "no"])
def test_any_way_of_capturing_output_will_do(tmp_path: Path, capture: str) -> None:
    done = run_shop(tmp_path, f"--capture={capture}", "-k", "two_lines")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1


CONFTEST = """
import sys

def pytest_unconfigure():
    print("loaded:", *sys.modules)
"""


def test_a_project_that_does_not_use_it_loads_one_small_module_and_keeps_the_names(tmp_path: Path) -> None:
    (tmp_path / "rpcserver").mkdir()
    for own in ("rpcserver/__init__.py", "rpcwire.py"):
        (tmp_path / own).write_text("raise SystemExit('imported, though no test needs it')")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_own.py").write_text("def test_own(): pass")
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1
    loaded = set(done.stdout.partition("loaded: ")[2].split())
    assert {name for name in loaded if "rpc" in name} == {"pytest_rpcserver"}
    assert not loaded & {"asyncio", "click", "msgspec", "multiprocessing", "uvloop"}


@pytest.mark.thorough
def test_the_fixture_describes_itself(tmp_path: Path) -> None:
    done = run(tmp_path, "--fixtures")
    assert "rpc_server" in done.stdout
    assert "Start servers with real worker processes" in done.stdout


@pytest.mark.thorough
@pytest.mark.parametrize("own", ["rpcserver.py", "rpcserver/__init__.py"])
def test_a_project_that_has_an_rpcserver_of_its_own_is_told_why_it_cannot_have_the_fixture(
    own: str, tmp_path: Path
) -> None:
    if own != "rpcserver.py":
        (tmp_path / "rpcserver").mkdir()
        (tmp_path / "rpcserver" / "testing.py").write_text("")
    (tmp_path / own).write_text("")
    (tmp_path / "test_own.py").write_text("def test_own(rpc_server): pass")
    done = run(tmp_path)
    assert f"rpc_server needs the package rpcserver, and imports {tmp_path / own}" in done.stdout
    assert "Traceback" not in done.stdout
    assert "pytest_rpcserver.py" not in done.stdout
