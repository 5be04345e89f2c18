"""A run of the bench, short and with few connections."""

from __future__ import annotations

from typing import Any

from rpcshell.client.target import Target
from rpcshell.lab.bench.measurement import Measurement, Plan
from rpcshell.lab.bench.run import run_plan
from tests.rpcshell.peers import DEADLINE


def run(target: Target | str, **more: Any) -> Measurement:
    plan: dict[str, Any] = {"connections": 2, "seconds": None, "timeout": DEADLINE, "params": {"a": 1}}
    return run_plan(Plan(target=str(target), method="ping", **{**plan, **more}))
