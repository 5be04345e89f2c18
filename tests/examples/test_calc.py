"""Its tests, on real workers: pytest test_calc.py."""

import pytest
from calc import service

from rpcserver import RpcError


def test_add(rpc_server):
    assert rpc_server(service, model="thread").call("add", {"a": 1, "b": 2}) == 3


def test_divide_by_nothing(rpc_server):
    with pytest.raises(RpcError, match="b must not be 0"):
        rpc_server(service).call("divide", [1, 0])
