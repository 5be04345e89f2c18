"""A raw RSGI application, for Granian."""

from __future__ import annotations

from typing import Any


async def application(scope: Any, protocol: Any) -> None:
    assert scope.proto == "http"
    protocol.response_bytes(200, [("content-type", "application/json")], await protocol())
