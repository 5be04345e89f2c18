"""A shell over a fleet: which instance answered, which ones were tried before, and what is told of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from rpcshell.commands import load_commands
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.describing import META, offering
from tests.rpcshell.peers import Peer, PeerServer, free_port, serving


@contextlib.contextmanager
def fleet(*handlers: Callable[[Peer], object]) -> Iterator[list[PeerServer]]:
    """Servers, one for each handler."""
    with contextlib.ExitStack() as servers:
        yield [servers.enter_context(serving(handler)) for handler in handlers]


def address(*servers: PeerServer | int) -> str:
    return ",".join(f"127.0.0.1:{one}" if isinstance(one, int) else str(one.target) for one in servers)


@pytest.fixture
def output() -> Recording:
    return Recording()


@pytest.fixture
def shell(output: Recording) -> Iterator[Shell]:
    session = Session(background=False)
    yield Shell(session, output, load_commands, interactive=True)
    session.close()


def fails(peer: Peer) -> None:
    while (request := peer.read()) is not None:
        meta = {"meta": META} if request.get("meta") else {}
        peer.send({"out": "error", "result": {"code": -32000, "message": "no"}, **meta})


def test_a_call_names_the_instance_that_answered(shell: Shell) -> None:
    with fleet(offering("ping"), offering("ping")) as servers:
        shell.session.connect(address(*servers))
        calls = [shell.session.call("ping", number) for number in range(30)]
    addresses = {str(server.target) for server in servers}
    assert {call.instance for call in calls} == addresses
    for call in calls:
        shell.journal.add(call)
    assert {server for server, _ in shell.journal.statistics.workers} == addresses


def test_an_error_names_the_instance_too(shell: Shell) -> None:
    with fleet(fails, fails) as servers:
        shell.session.connect(address(*servers), plain=True)
        error = shell.session.attempt("ping").error
        assert getattr(error, "instance", "") in {str(server.target) for server in servers}


def test_why_tells_which_instances_were_tried_and_what_became_of_it(shell: Shell, output: Recording) -> None:
    gone = free_port()
    with fleet(offering("ping")) as servers:
        shell.session.connect(address(gone, *servers), plain=True)
        # Which one is asked first is drawn.
        while not (call := shell.session.call("ping")).trace.failed_attempts:
            shell.session.connect(address(gone, *servers), plain=True)
        shell.journal.add(call)
        shell.execute(":why")
    told = " ".join(output.texts[-1].split())
    assert f"127.0.0.1:{gone} did not answer it (connection refused)" in told
    assert f"tried 127.0.0.1:{gone}: connection refused {servers[0].target}: answered" in told
