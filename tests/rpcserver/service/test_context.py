from __future__ import annotations

import logging

import pytest

from rpcserver import Context, Peer, WorkerInfo
from tests.rpcserver.calling import WORKER, caller_of


def test_a_handlers_log_carries_the_methods_name_and_keeps_what_it_is_given(caplog: pytest.LogCaptureFixture) -> None:
    def handler(context: Context) -> None:
        context.log.warning("%d left", 5, extra={"user": "ada"})

    caller_of(handler).call("f")
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == ("rpcserver.handler", logging.WARNING, "5 left")
    assert (getattr(record, "method", None), getattr(record, "user", None)) == ("f", "ada")


def test_a_context_cannot_be_changed_and_a_peer_only_where_it_should() -> None:
    context = Context("f", Peer("here"), WORKER, None)  # type: ignore[arg-type]  # the log is not used
    with pytest.raises(AttributeError):
        context.method = "g"  # type: ignore[misc]  # the mistake is the point
    with pytest.raises(AttributeError):
        context.worker.pid = 1  # type: ignore[misc]  # the mistake is the point
    with pytest.raises(AttributeError):
        context.peer.user = "ada"  # type: ignore[attr-defined]  # the mistake is the point
    assert repr(context.peer) == "Peer('here')"


def test_a_workers_info_compares_by_value() -> None:
    assert WorkerInfo(1, 2, 3, "sync") == WorkerInfo(1, 2, 3, "sync")
