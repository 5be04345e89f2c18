"""The pytest plugin, in runs of pytest of its own."""

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


def run(folder: Path, tests: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(SERVICE)
    (folder / "test_shop.py").write_text(f"import pytest\nfrom shop import service\n{tests}")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE * 3)


def test_handlers_are_tested_in_two_lines(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def test_price(rpc_server):
    assert rpc_server(service).call("price", {"item": "tea"}) == 2.5
""",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_test_may_start_several_servers_and_choose_how_they_serve(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
@pytest.mark.parametrize("model", ["sync", "thread", "async"])
def test_price(rpc_server, model):
    first, second = rpc_server(service, model=model, workers=1), rpc_server(service)
    assert first.address != second.address
    assert first.call("price", ["tea"]) == second.call("price", ["tea"]) == 2.5
""",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failing_test_shows_the_servers_log_and_what_handlers_print(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def test_price(rpc_server):
    server = rpc_server(service)
    assert server.call("price", ["tea"]) == 3
""",
    )
    assert done.returncode == 1
    assert "Captured log of the server at 127.0.0.1:" in done.stdout
    assert "listening on 127.0.0.1:" in done.stdout
    assert "looking for tea" in done.stdout


def test_a_passing_test_shows_no_log(tmp_path: Path) -> None:
    done = run(tmp_path, '\ndef test_price(rpc_server):\n    rpc_server(service).call("price", ["tea"])\n', "-rA")
    assert done.returncode == 0
    assert "Captured log of the server" not in done.stdout


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_any_way_of_capturing_output_will_do(tmp_path: Path, capture: str) -> None:
    done = run(
        tmp_path,
        '\ndef test_price(rpc_server):\n    assert rpc_server(service).call("price", ["tea"]) == 2.5\n',
        f"--capture={capture}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1


def test_servers_of_one_test_do_not_stay_for_the_next(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
ran = []
def test_first(rpc_server):
    ran.append(rpc_server(service))
def test_second():
    assert ran[0].wait(0)
""",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_fixture_describes_itself(tmp_path: Path) -> None:
    done = run(tmp_path, "", "--fixtures")
    assert "rpc_server" in done.stdout
    assert "Start servers with real worker processes" in done.stdout


def test_the_plugin_costs_a_run_that_does_not_use_it_next_to_nothing(tmp_path: Path) -> None:
    program = "import pytest, sys; before = set(sys.modules); import rpcserver.pytest_plugin; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    heavy = {"asyncio", "click", "uvloop", "prometheus_client", "watchfiles", "multiprocessing", "rpcserver.arbiter"}
    assert not set(done.stdout.split()) & {*heavy, "rpcserver.testing", "rpcserver.config", "rpcserver.dispatch"}
