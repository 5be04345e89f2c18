"""Kea and watchman, the real ones, by the tables that the configuration's reference has for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcshell import CallError, detect
from rpcshell import connect as connect_blocking
from tests.rpcshell.enveloped import KEA, SURICATA, WATCHMAN, kea, needs_kea, needs_watchman, watchman
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE

NAMED = {"KEA": KEA, "WATCHMAN": WATCHMAN, "SURICATA": SURICATA}


@pytest.fixture(scope="module")
def dhcp() -> Iterator[str]:
    with kea() as target:
        yield target


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    with watchman() as target:
        yield target


@needs_kea
def test_kea_answers_and_refuses_call_after_call(connect: Connect, dhcp: str) -> None:
    with connect(dhcp, dialect=KEA) as client:
        first = client.call("status-get")
        assert client.call("status-get")["pid"] == first["pid"]
        assert "Dhcp4" in client.call("config-get")
        assert client.call("dhcp-disable", {"max-period": 1}) == "DHCPv4 service disabled for 1 seconds"
        with pytest.raises(CallError, match="'nope' command not supported") as caught:
            client.call("nope")
        assert caught.value.code == 2


@needs_kea
def test_kea_is_found_by_its_table(dhcp: str) -> None:
    assert str(detect(dhcp, dialects=NAMED)) == f"KEA:{dhcp}"


@needs_watchman
def test_watchman_is_found_by_its_table(files: str) -> None:
    assert str(detect(files, dialects=NAMED)) == f"WATCHMAN:{files}"


@needs_kea
def test_kea_lists_its_commands(dhcp: str) -> None:
    with connect_blocking(dhcp, dialect=KEA) as client:
        names = [method["name"] for method in client.describe().document["methods"]]
    assert {"config-get", "list-commands", "status-get"} <= set(names)


@needs_watchman
def test_watchman_answers_refuses_and_lists(connect: Connect, files: str) -> None:
    with connect(files, dialect=WATCHMAN) as client:
        assert client.call("version", {"optional": ["relative_root"]})["capabilities"] == {"relative_root": True}
        with pytest.raises(CallError, match="unknown command nope"):
            client.call("nope")
    with connect_blocking(files, dialect=WATCHMAN) as client:
        names = [method["name"] for method in client.describe().document["methods"]]
    assert {"watch-project", "subscribe", "get-pid"} <= set(names)


@needs_watchman
def test_watchman_tells_of_files(files: str, tmp_path: Path) -> None:
    with connect_blocking(files, dialect=WATCHMAN) as client:
        client.call("watch", [str(tmp_path)])
        client.call("subscribe", [str(tmp_path), "mine", {"fields": ["name"]}])
        (tmp_path / "new").touch()
        told = (event for event in client.events(timeout=DEADLINE) if event.name == "mine")
        assert any("new" in event.params["files"] for event in told)
        client.call("watch-del", [str(tmp_path)])
