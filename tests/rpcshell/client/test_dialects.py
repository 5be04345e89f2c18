"""What a dialect of another package may do: greet, tell, hear, reply in turn and in parts, and take leave."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rpcshell import CallTimeout, ConnectionFailed, ConnectionLost, TcpTarget, UsageError, connect
from rpcshell.client.dialects import (
    Ask,
    Description,
    Event,
    HandshakeFailed,
    Hear,
    Message,
    Partial,
    Steps,
    Tell,
)
from rpcshell.client.dialects.framed import FramedDialect
from rpcwire import Fault, Reply
from tests.interrupts import interrupted
from tests.rpcshell import loud
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, Peer, PeerServer, serving


class Toy(FramedDialect):
    """Greeted first, it logs in, opens, and calls; replies come in turn, some in parts, and it says that it leaves."""

    framings: ClassVar[tuple[str, ...]] = ("line", "nul")
    in_order = True

    def hello(self) -> Steps[None]:
        greeting: Event = yield Hear(timeout=DEADLINE)
        if greeting.params != "toy":
            raise HandshakeFailed(f"it calls itself {greeting.params}", "find another one")
        yield Tell(self.encode({"login": "me"}))
        reply: Reply = yield Ask("open", timeout=DEADLINE)
        if reply.result != "opened":
            raise HandshakeFailed("it did not open")

    def describe(self) -> Steps[Description]:
        try:
            yield Ask("never", timeout=0.05)
        except CallTimeout:
            return Description({"methods": []})
        return Description()

    def bye(self) -> Steps[None]:
        yield Ask("bye")

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        return self.encode({"call": method, "with": params})

    def read(self, message: Any) -> Iterable[Message]:
        if "hello" in message:
            return (Event("hello", message["hello"]),)
        if message.get("more"):
            return (Partial(message["reply"]),)
        return (Reply("result", message["reply"]),)

    def cancel(self, number: int) -> bytes | None:
        return self.encode({"cancel": number}) if number > 2 else None


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy as a package of somebody else's would bring it."""
    info = tmp_path / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    lines = [f"toy = {__name__}:Toy", "broken = no.such.module:Broken", "odd = odd:Odd"]
    (tmp_path / "odd.py").write_text("1 / 0")
    (info / "entry_points.txt").write_text("\n".join(["[rpcshell.dialects]", *lines, ""]))
    monkeypatch.syspath_prepend(tmp_path)


class ToyServer:
    """Its conversations, as functions of what comes."""

    def __init__(self, greeting: object = "toy", opened: object = "opened") -> None:
        self.greeting = greeting
        self.opened = opened
        self.said: list[Any] = []
        self.left = threading.Event()

    def __call__(self, peer: Peer) -> None:
        lines = peer.sock.makefile("rb")
        if self.greeting is not None:
            self.send(peer, {"hello": self.greeting})
        for line in lines:
            message = json.loads(line)
            self.said.append(message)
            match message.get("call"):
                case "open":
                    self.send(peer, {"reply": self.opened})
                case "parts":
                    self.send(peer, *({"reply": n, "more": n < 3} for n in range(4)))
                case "never":
                    pass
                case "bye":
                    self.left.set()
                    self.send(peer, {"reply": None})
                case None if "cancel" in message:
                    self.send(peer, {"reply": "late"})
                case None:
                    pass
                case _:
                    self.send(peer, {"reply": message["with"]})

    @staticmethod
    def send(peer: Peer, *messages: object) -> None:
        peer.sock.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))


def at(server: PeerServer) -> str:
    return f"toy:{server.target}"


@pytest.mark.usefixtures("_installed")
def test_a_dialect_of_another_package_greets_calls_and_leaves(connect: Connect) -> None:
    toy = ToyServer()
    with serving(toy) as server:
        with connect(at(server)) as client:
            assert toy.said == [{"login": "me"}, {"call": "open", "with": None}]
            assert client.call("echo", [1]) == [1]
            parts: list[int] = []
            assert client.call("parts", partial=parts.append) == 3
            assert parts == [0, 1, 2]
            assert client.call("parts") == 3
        assert toy.left.wait(DEADLINE)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("toy", "says"),
    [
        (ToyServer(greeting="other"), r"it calls itself other \(find another one\)"),
        (ToyServer(opened="closed"), "it did not open"),
        (lambda peer: None, "closed it without a reply"),
    ],
)
def test_a_greeting_that_fails_is_a_connection_that_does(connect: Connect, toy: Any, says: str) -> None:
    with serving(toy) as server, pytest.raises(ConnectionFailed, match=says) as caught:
        connect(at(server))
    assert caught.value.exit_code == 3


@pytest.mark.usefixtures("_installed")
def test_who_never_greets_is_waited_for_as_long_as_a_connection_may_take(connect: Connect) -> None:
    with serving(ToyServer(greeting=None)) as server, pytest.raises(ConnectionFailed, match=r"not greet within 0\.3 s"):
        connect(at(server), connect_timeout=0.3)


@pytest.mark.usefixtures("_installed")
def test_where_turns_count_a_call_that_is_given_up_keeps_its_own() -> None:
    toy = ToyServer()
    with serving(toy) as server, connect(at(server)) as client:
        # It cannot be cancelled so early, and takes its connection with it.
        assert client.describe() == Description({"methods": []})
        assert client.call("echo", 1) == 1
        with pytest.raises(CallTimeout):
            client.call("never", timeout=0.05)
        assert client.call("echo", 2) == 2
        assert {"cancel": 3} in toy.said
        assert server.accepted == 2


@pytest.mark.usefixtures("_installed")
def test_a_dialect_that_cannot_be_found_or_loaded_is_said(connect: Connect) -> None:
    for target, says in (
        ("broken:unix:/run/x", "cannot be loaded: ModuleNotFoundError"),
        ("odd:unix:/run/x", "cannot be loaded: ZeroDivisionError"),
        ("toy+u32be:h:1", "it has line, nul"),
    ):
        with pytest.raises(UsageError, match=says):
            connect(target)
    with pytest.raises(UsageError, match="there are acp, broken, dap, jsonrpc"):
        connect(TcpTarget("h", 1, dialect="unheard"))


CHILD = """
import signal, sys
signal.signal(signal.SIGTERM, {on_term})
print(flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("on_term", ["lambda *_: sys.exit()", "signal.SIG_IGN"])
def test_a_child_that_does_not_end_is_made_to(connect: Connect, on_term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpcshell.client.child._GRACE", 0.2)
    from rpcshell.client.target import ChildTarget

    argv = (
        sys.executable,
        "-c",
        "import os; print('{\"method\":\"' + str(os.getpid()) + '\"}')\n" + CHILD.format(on_term=on_term),
    )
    with connect(ChildTarget(argv, dialect="jsonrpc")) as client:
        with pytest.raises(CallTimeout):
            client.call("m", timeout=0.3)
        children = {int(text) for text in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells of the end of a process of others")
def test_a_child_does_not_outlive_whoever_started_it_and_was_killed() -> None:
    stubborn = "import os; print('{\"method\":\"' + str(os.getpid()) + '\"}')\n" + CHILD.format(
        on_term="signal.SIG_IGN"
    )
    program = f"""
import signal, sys
import rpcshell.client.child
from rpcshell import ChildTarget, connect
rpcshell.client.child._GRACE = 0.2
with connect(ChildTarget((sys.executable, "-c", {stubborn!r}), dialect="jsonrpc")) as client:
    client.connect()
    print(next(client.events()).name, flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert select.select([child], [], [], DEADLINE)[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)


def test_an_interrupt_ends_the_call_and_not_the_connection() -> None:
    arrived = threading.Event()

    def serve(peer: Peer) -> None:
        peer.sock.recv(1)
        arrived.set()
        for line in peer.sock.makefile("rb"):
            if b'"echo"' in line:
                peer.sock.sendall(json.dumps({"id": json.loads(line)["id"], "result": "here"}).encode() + b"\n")

    with serving(serve) as server, connect(f"jsonrpc+line:{server.target}") as client:
        with interrupted(arrived.wait), pytest.raises(KeyboardInterrupt):
            client.call("slow")
        assert client.call("echo") == "here"
        assert server.accepted == 1


def test_a_process_that_was_forked_makes_a_connection_of_its_own() -> None:
    def serve(peer: Peer) -> None:
        for line in peer.sock.makefile("rb"):
            request = json.loads(line)
            reply = {"id": request["id"], "result": peer.number}
            peer.sock.sendall(json.dumps(reply).encode() + b"\n")

    with serving(serve) as server, connect(f"jsonrpc+line:{server.target}") as client:
        assert client.call("who") == 0
        pid = os.fork()
        if not pid:
            # Whatever happens here must not go on as the test.
            try:
                os._exit(client.call("who", timeout=DEADLINE))
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        assert client.call("who") == 0


def test_a_close_ends_the_call_of_another_thread() -> None:
    called, ended = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.sock.recv(1)
        called.set()
        peer.wait_for_end()

    with serving(serve) as server, connect(f"jsonrpc:{server.target}") as client:

        def call() -> None:
            with pytest.raises(ConnectionLost):
                client.call("slow")
            ended.set()

        thread = threading.Thread(target=call)
        thread.start()
        assert called.wait(DEADLINE)
        client.close()
        assert ended.wait(DEADLINE)
        thread.join()


@pytest.fixture
def _document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openrpc.json").write_text('{"methods":[]}')
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_document")
def test_a_document_may_come_from_a_file_or_a_command() -> None:
    with serving(lambda peer: peer.wait_for_end()) as server:
        target = f"jsonrpc:{server.target}"
        for source in ("openrpc.json", Path("openrpc.json"), ["cat", "openrpc.json"]):
            with connect(target, openrpc=source) as client:
                assert client.describe() == Description({"methods": []})
        for source, says in (
            ("none.json", "cannot be read: No such file"),
            ("broken.json", "is no JSON"),
            (["no-such-program"], "cannot be run"),
            (["sh", "-c", "echo oh >&2; exit 3"], r"ended with 3 \(oh\)"),
        ):
            with connect(target, openrpc=source) as client, pytest.raises(UsageError, match=says):
                client.describe()


def test_what_a_dialect_says_of_a_refusal_is_why_nothing_is_known() -> None:
    told = Description(missing="unknown", reason="it refuses list: no")
    assert Description.refused("list", Fault(1, "no")) == told


def test_parts_that_nobody_takes_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loud.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    stuck, done = threading.Event(), threading.Event()
    part = b'{"jsonrpc":"2.0","method":"part","params":{"id":1,"value":1}}\n' * 1000

    def serve(peer: Peer) -> None:
        peer.sock.recv(65536)
        peer.sock.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                peer.sock.sendall(part)
        stuck.set()
        done.wait(DEADLINE)

    def take(_: Any) -> None:
        assert stuck.wait(DEADLINE)
        raise UsageError("enough")

    with serving(serve) as server, connect(f"loud:{server.target}") as client:
        with pytest.raises(UsageError, match="enough"):
            client.call("parts", partial=take)
        done.set()


def test_parts_are_all_taken_however_slowly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loud.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    taken: list[Any] = []
    with serving(loud.Server()) as server, connect(f"loud:{server.target}") as client:
        assert client.call("parts", {"n": 6_000}, partial=taken.append) == "all"
    assert len(taken) == 12_000
