"""A shell that can have no thread beside its own."""

from __future__ import annotations

from rpcshell.client.threads import thread_for
from rpcshell.line.suggest.names import PathChoice
from rpcshell.prompt.completer import LateListing
from rpcshell.shell.session import Session
from rpcshell.shell.why.sighting import Sighting
from tests.poverty import few_processes, in_a_child
from tests.rpcshell.peers import DEADLINE, echo, serving


def test_what_others_do_in_threads_is_done_without_or_not_at_all() -> None:
    def use() -> None:
        session = Session(background=True)
        session.connect(str(server.target))
        reply = session.call("ping", 1).reply
        assert reply is not None
        assert reply.result == 1
        session.close()
        choices = [PathChoice("./calls.rpc", "calls.rpc", "")]
        listing = LateListing[str, PathChoice](lambda _typed: choices, lambda: None, patience=DEADLINE)
        assert [choice.text for choice in listing("./")] == ["./calls.rpc"]
        sighting = Sighting(lambda _trace: None)
        sighting.look()
        assert sighting.snapshot is None

    def use_without_threads() -> None:
        assert thread_for(use, "probe") is None
        use()

    with serving(echo) as server:
        use()
        in_a_child(use_without_threads, few_processes(1))
