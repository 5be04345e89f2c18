"""Calls as a journal keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpcshell.client.errors import CallError
from rpcshell.commands.export import Export
from rpcshell.line.catalog import Catalog, Method
from rpcshell.shell.call import Call
from rpcshell.shell.journal import Journal
from rpcwire import Meta, Reply

TARGET = "localhost:8080"
BEGAN = 1_700_000_000.0
META = Meta(3, 4711, 0, "sync", 12, 1)


def answered(method: str, params: Any = None, result: Any = None, *, target: str = TARGET) -> Call:
    return Call(
        line=method,
        method=method,
        params=params,
        reply=Reply(method, result, meta=META),
        elapsed=0.01,
        began=BEGAN,
        target=target,
    )


def refused(method: str, params: Any = None, code: int = -32000, message: str = "no") -> Call:
    return Call(line=method, method=method, params=params, error=CallError(message, code=code), target=TARGET)


def kept(*records: Call) -> list[Call]:
    journal = Journal()
    for record in records:
        journal.add(record)
    return list(journal)


def method(name: str, result: Any = None, *, idempotent: bool = True) -> Method:
    entry = {
        "name": name,
        "params": [],
        "x-idempotent": idempotent,
        "result": {"name": "result", "schema": result or {}},
    }
    return Catalog.from_openrpc({"methods": [entry]}).methods[name]


def export(records: Sequence[Call], *methods: Method, **more: Any) -> Export:
    known = {method.name: method for method in methods}
    return Export(records=kept(*records), version="1", date="2026-01-02", methods=known, **more)
