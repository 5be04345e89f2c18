"""ACP with an agent that has the SDK of npm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rpcshell import CallError, CallTimeout, connect
from rpcshell.client.dialects import ServerRequest
from tests.peers.node import module, needs_package
from tests.servers import PATIENCE

pytestmark = [pytest.mark.thorough, needs_package("@agentclientprotocol/sdk")]


def test_an_agent_is_prompted_permitted_and_cancelled(tmp_path: Path) -> None:
    parts: list[Any] = []

    def permit(request: ServerRequest) -> Any:
        assert request.method == "session/request_permission"
        return {"outcome": {"outcome": "selected", "optionId": "y"}}

    with connect(f"acp:exec:node {module('acp_agent.mjs', tmp_path)}", connect_timeout=PATIENCE) as client:
        client.call("session/new")
        assert client.call("session/prompt", {"text": "hi"}, partial=parts.append) == {"stopReason": "end_turn"}
        assert parts[0] == "you said hi"
        assert json.loads(parts[1])["optionId"] == "n"
        client.on_request(permit)
        client.call("session/prompt", {"text": "hi"}, partial=parts.append)
        assert json.loads(parts[3])["optionId"] == "y"
        with pytest.raises(CallError, match="nope"):
            client.call("nope")
        with pytest.raises(CallTimeout):
            client.call("session/prompt", {"text": "hang"}, timeout=0.2)
        assert client.call("session/new") == {"sessionId": "s1"}
