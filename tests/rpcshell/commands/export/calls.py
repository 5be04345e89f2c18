"""Calls as a journal keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpcshell.commands.export import Export
from rpcshell.line.catalog import Catalog, Method
from rpcshell.shell.journal import CallRecord, Journal
from rpcwire import Meta, Reply

TARGET = "localhost:8080"
BEGAN = 1_700_000_000.0
META = Meta(3, 4711, 0, "sync", 12, 1)


def answered(method: str, params: Any = None, result: Any = None, *, target: str = TARGET) -> CallRecord:
    return CallRecord(
        line=method,
        method=method,
        params=params,
        outcome="ok",
        reply=Reply(method, result),
        elapsed=0.01,
        began=BEGAN,
        meta=META,
        target=target,
    )


def refused(method: str, params: Any = None, code: int = -32000, message: str = "no") -> CallRecord:
    return CallRecord(
        line=method, method=method, params=params, outcome="error", code=code, error=message, target=TARGET
    )


def kept(*records: CallRecord) -> list[CallRecord]:
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


def export(records: Sequence[CallRecord], *methods: Method, **more: Any) -> Export:
    known = {method.name: method for method in methods}
    return Export(records=kept(*records), version="1", date="2026-01-02", methods=known, **more)
