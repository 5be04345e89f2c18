"""JSON-RPC to our own server, which answers it by the framing that a listener names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rpcshell import CallError, connect
from rpcwire.framings import FRAMINGS
from tests.rpcshell.faces import Connect
from tests.servers import Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    binds = [f"{framing}+unix:{folder}/{framing}.sock" for framing in FRAMINGS]
    with running("-m", "thread", "-w", "1", app=None, folder=folder, bind=binds) as server:
        yield server


def target_of(server: Server, framing: str) -> str:
    (path,) = (address.partition("unix:")[2] for address in server.addresses if address.endswith(f"/{framing}.sock"))
    return f"jsonrpc+{framing}:unix:{path}"


@pytest.mark.samples(4)
@pytest.mark.parametrize("framing", sorted(FRAMINGS))
def test_calls_errors_and_large_values(server: Server, connect: Connect, framing: str) -> None:
    with connect(target_of(server, framing)) as client:
        assert client.call("add", {"a": 1, "b": 2}) == 3.0
        assert client.call("echo", ["\n\0" * 50_000]) == "\n\0" * 50_000
        with pytest.raises(CallError) as caught:
            client.call("nope")
        assert caught.value.code == -32601


def test_what_it_offers_is_an_openrpc_document(server: Server) -> None:
    with connect(target_of(server, "line")) as client:
        found = client.describe().document
        assert found["openrpc"].startswith("1.")
        assert "add" in {method["name"] for method in found["methods"]}
