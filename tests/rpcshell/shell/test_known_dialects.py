"""Targets whose dialect is not looked for: it is named, or remembered in a file, or the session is plain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from rpcshell import CallTimeout, ConnectionLost
from rpcshell.client.target import TcpTarget
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.config import Config
from rpcshell.shell.dialect_finder import DialectFinder
from rpcshell.shell.session import Session
from rpcshell.shell.target_config import TargetConfig
from tests.rpcshell.describing import offering
from tests.rpcshell.peers import Peer, serving

_T = TypeVar("_T")


@pytest.mark.parametrize("name", ["native:{}", "named"])
def test_who_has_a_name_for_it_is_not_second_guessed(name: str, memory: TargetMemory) -> None:
    with serving(Peer.wait_for_end) as server:
        config = Config({"named": TargetConfig(address=str(server.target), dialect="native")})
        session = Session(memory=lambda: memory, background=False, config=config)
        session.settings.timeout = 0.8
        session.connect(name.format(server.target))
        with pytest.raises(CallTimeout):
            session.call("ping", {"a": 1})
        session.close()
        assert server.accepted == 1


def test_a_plain_session_looks_at_nothing() -> None:
    session = Session(plain=True, background=False)
    with serving(lambda peer: peer.read()) as server:
        session.connect(server.target)
        with pytest.raises(ConnectionLost):
            session.call("ping", 1)
        assert server.accepted == 1
        session.close()


@pytest.mark.parametrize(
    "broken", ["not json", '{"spoken": 3}', '{"spoken": {"127.0.0.1:1": "no such thing:"}}', ""], ids=str
)
def test_a_memory_that_is_broken_or_away_remembers_nothing(broken: str, tmp_path: Path) -> None:
    (tmp_path / "targets.json").write_text(broken)
    for folder in (tmp_path, tmp_path / "away"):
        memory = TargetMemory(_of(folder))
        session = Session(memory=_of(memory), background=False)
        with serving(offering("add")) as server:
            session.connect(server.target)
            assert session.call("add", [1]).result == [1]
        session.close()


def _of(value: _T) -> Callable[[], _T]:
    return lambda: value


@pytest.mark.parametrize(
    "written",
    [
        *("mcp:exec:touch nothing", "qmp:other:1", "unix:/run/other", "tls://h:1", "h:1,other:1", "zk://other/h"),
        *("mcp:http://other/mcp", "mcp:http://h/mcp", "lsp+line:h:1", "unknown:h:1"),
    ],
)
def test_what_is_remembered_is_what_is_spoken_and_leads_to_no_other_place(written: str, memory: TargetMemory) -> None:
    asked = TcpTarget("h", 1)
    memory.learn(str(asked), written)
    assert DialectFinder(asked, lambda: memory, None).target == asked


@pytest.mark.parametrize("spoken", ["qmp:h:1", "jsonrpc+line:h:1", "mcp:http://h:1/mcp"])
def test_what_is_remembered_of_the_same_place_holds(spoken: str, memory: TargetMemory) -> None:
    asked = TcpTarget("h", 1)
    memory.learn(str(asked), spoken)
    assert str(DialectFinder(asked, lambda: memory, None).target) == spoken
