"""MCP with servers that others wrote: with the SDK for Python (the extra `peers`), and the everything server of npm."""

from __future__ import annotations

import importlib.util
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcshell import CallError, CallTimeout, Client, connect, detect
from rpcshell.client.dialects import Description, Event, Progress, ServerRequest, Steps
from rpcshell.client.dialects.mcp.dialect import Mcp
from rpcshell.line.catalog import Catalog
from rpcwire import Fault
from tests import peers
from tests.peers.node import program
from tests.rpcshell.faces import Connect
from tests.rpcshell.mcp_peer import interrupted
from tests.rpcshell.peers import DEADLINE

pytestmark = pytest.mark.thorough

SERVER = Path(peers.__file__).parent / "mcp_server.py"
STDIO = f"mcp:exec:{sys.executable} {SERVER} stdio"
EVERYTHING = program("mcp-server-everything")

with_sdk = pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="the extra `peers` is not installed")
with_everything = pytest.mark.skipif(EVERYTHING is None, reason="there is no mcp-server-everything")


class WithoutSessions(Mcp):
    """The era without a handshake, of which servers that have both let the client choose."""

    def hello(self) -> Steps[None]:
        yield from self._discover(Fault(-32022, "not tried"))


@contextmanager
def over_http(folder: Path) -> Iterator[str]:
    found = folder / "port"
    with subprocess.Popen([sys.executable, SERVER, "http", found], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not (found.exists() and found.read_text()):
                assert process.poll() is None
                assert time.monotonic() < deadline
                os.sched_yield()
            yield f"mcp:http://127.0.0.1:{found.read_text()}/mcp"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with over_http(tmp_path_factory.mktemp("mcp")) as found:
        yield found


@pytest.fixture(scope="module")
def child() -> Iterator[Client]:
    """A client with a child, which tests share: to start one takes seconds."""
    with connect(STDIO, connect_timeout=60) as client:
        yield client


@pytest.fixture(params=["stdio", "http"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    if request.param == "stdio":
        yield request.getfixturevalue("child")
    else:
        with connect(request.getfixturevalue("url")) as made:
            yield made


def catalog_of(described: Description) -> Catalog:
    return Catalog.from_openrpc(described.document)


@with_sdk
def test_tools_prompts_and_resources_are_methods(client: Client) -> None:
    assert client.call("add", {"a": 1}) == {"result": 3}
    assert client.call("echo", {"message": "hü\n"}) == "hü\n"
    assert client.call("paint", {"door": {"colour": "red"}}) == {"painted": "red"}
    assert client.call("prompt:greet", {"who": "Ada"}) == [{"role": "user", "content": "hi Ada"}]
    assert client.call("resource:note", {"name": "x"}) == "about x"
    assert client.call("resource:note://ü") == "about ü"
    assert client.call("resource:settings") == {"depth": 3}
    assert client.call("tools/call", {"name": "add", "arguments": {"a": 1}})["structuredContent"] == {"result": 3}


@with_sdk
def test_errors_are_told_however_the_server_tells_them(client: Client) -> None:
    for method, says in (("boom", "boom"), ("nope", "nope"), ("mcp:nope", "not found")):
        with pytest.raises(CallError, match=says) as caught:
            client.call(method)
        assert caught.value.exit_code == 1
    with pytest.raises(CallError, match="valid integer"):
        client.call("add", {"a": "x"})


@with_sdk
def test_what_the_server_offers_is_a_catalog(client: Client) -> None:
    catalog = catalog_of(client.describe())
    assert (catalog.title, catalog.version) == ("calc", "3.1")
    assert catalog.methods["add"].signature == "add(a: integer, b: integer = 2) -> object"
    assert catalog.methods["add"].idempotent
    door = catalog.methods["paint"]
    assert set(door.resolve(door.params[0].schema)["properties"]) == {"colour", "width"}
    assert catalog.param_names("prompt:greet") == ("who", "how")
    assert catalog.param_names("resource:note") == ("name",)


@with_sdk
def test_progress_comes_before_the_result(client: Client) -> None:
    came: list[Any] = []
    assert client.call("count", {"n": 2}, partial=came.append) == {"result": "done"}
    assert came == [Progress(0.0, 2.0, "at 0"), Progress(1.0, 2.0, "at 1")]


@with_sdk
def test_the_server_asks_a_person(client: Client) -> None:
    client.on_request(None)
    assert client.call("ask") == {"result": "decline"}
    asked: list[ServerRequest] = []

    def answer(request: ServerRequest) -> Any:
        asked.append(request)
        return request.form.answer("accept", {"name": "Ada"}) if request.form is not None else NotImplemented

    client.on_request(answer)
    assert client.call("ask") == {"result": "accept Ada"}
    assert asked[0].form is not None
    assert "name" in asked[0].form.schema["properties"]


@with_sdk
def test_a_call_that_is_given_up_is_ended_at_the_server(client: Client) -> None:
    with pytest.raises(CallTimeout):
        client.call("sleep", timeout=0.3)
    assert client.call("was_cancelled", timeout=DEADLINE) == {"result": True}


@with_sdk
def test_new_tools_are_told(client: Client) -> None:
    client.call("learn")
    events = (event for event in client.events(timeout=DEADLINE) if event.offers_changed)
    assert next(events) == Event("notifications/tools/list_changed", None, offers_changed=True)
    assert client.call("learnt", {"message": "x"}) == "x"


@with_sdk
def test_what_a_child_prints_goes_to_the_log_and_nowhere_else(child: Client) -> None:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    child.on_log(lines.put)
    assert child.call("chatter") == "printed"
    expected = {"starting", "42", '{"level": "info", "error": "none"}', '"a text"', "[1]", "to the log"}
    # The SDK has what is printed go to standard error, which is read in its own time.
    while expected:
        expected.discard(lines.get(timeout=DEADLINE))
    child.on_log(None)


@with_sdk
def test_values_are_completed_by_the_server(client: Client) -> None:
    client.describe()
    assert client.complete("prompt:greet", "who", "A", {"how": "hi"}) == ["Ada", "Alan"]
    assert client.complete("resource:note", "name", "", {}) == ["Ada", "Alan", "Grace"]


@with_sdk
def test_replies_by_a_stream_of_their_own_as_in_2024(url: str) -> None:
    url = url.removesuffix("/mcp") + "/sse"
    assert detect(url.removeprefix("mcp:")).dialect == "mcp"
    with connect(url) as client:
        assert client.call("add", {"a": 1, "b": 5}) == {"result": 6}
        with pytest.raises(CallError, match="Error executing tool boom"):
            client.call("boom")
        assert client.call("ask") == {"result": "decline"}
        with pytest.raises(CallTimeout):
            client.call("sleep", timeout=0.3)
        assert client.call("was_cancelled") == {"result": True}


@with_sdk
def test_with_asyncio_too(connect: Connect, url: str) -> None:
    with connect(url) as client:
        assert client.call("add", {"a": 1}) == {"result": 3}
        with pytest.raises(CallTimeout):
            client.call("sleep", timeout=0.3)
        assert client.call("was_cancelled", timeout=DEADLINE) == {"result": True}


@with_sdk
def test_a_session_ends_with_its_client_and_is_made_anew_where_the_server_ended_it(url: str) -> None:
    with connect(url) as client:
        client.call("mcp:ping")
        dialect = client._connection.dialect  # type: ignore[union-attr]
        assert isinstance(dialect, Mcp)
        session, dialect._session = dialect._session, "gone"
        assert session
        assert client.call("add", {"a": 1}) == {"result": 3}
        assert client.connections == 2


@with_sdk
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_the_era_without_sessions(transport: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.dialects.mcp.dialect.Mcp", WithoutSessions)
    with connect(STDIO if transport == "stdio" else url, connect_timeout=60) as client:
        assert client.call("add", {"a": 1}) == {"result": 3}
        assert client.call("resource:note://ü") == "about ü"
        came: list[Any] = []
        assert client.call("count", {"n": 1}, partial=came.append) == {"result": "done"}
        assert came == [Progress(0.0, 1.0, "at 0")]
        client.on_request(lambda request: {"action": "accept", "content": {"name": "Ada"}})
        assert client.call("ask_again") == "accept Ada"
        client.call("learn")
        assert next(client.events(timeout=DEADLINE)).offers_changed
        with pytest.raises(CallTimeout):
            client.call("sleep", timeout=0.3)
        assert client.call("was_cancelled", timeout=DEADLINE) == {"result": True}
        assert "server/discover" in catalog_of(client.describe()).methods


@with_everything
def test_the_everything_server() -> None:
    with connect(f"mcp:exec:{EVERYTHING} stdio", connect_timeout=60) as client:
        assert client.call("echo", {"message": "hi"}) == "Echo: hi"
        assert client.call("get-sum", {"a": 1, "b": 2}) == "The sum of 1 and 2 is 3."
        with pytest.raises(CallError, match="expected number"):
            client.call("get-sum", {"a": "x"})
        came: list[Any] = []
        client.call("trigger-long-running-operation", {"duration": 0.1, "steps": 2}, partial=came.append)
        assert came == [Progress(1.0, 2.0), Progress(2.0, 2.0)]
        catalog = catalog_of(client.describe())
        assert catalog.methods["get-sum"].signature == "get-sum(a: number, b: number)"
        assert client.complete("prompt:completable-prompt", "department", "Eng", {}) == ["Engineering"]
        assert "decline" in str(client.call("trigger-elicitation-request"))
        with pytest.raises(CallError, match=r"To be opened in a browser, at modelcontextprotocol\.io"):
            client.call("trigger-url-elicitation", {"errorPath": True, "url": "https://modelcontextprotocol.io"})
        with pytest.raises(KeyboardInterrupt):
            client.call("simulate-research-query", {"topic": "x"}, partial=interrupted)
        # It answers what came later first.
        while (task := client.call("tasks/list")["tasks"][0])["status"] == "working":
            pass
        assert task["status"] == "cancelled"
        roots = client.call("get-roots-list")
        assert Path.cwd().as_uri() in str(roots)
