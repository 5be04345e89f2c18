"""What `import rpcshell` gives, and the errors as values."""

from __future__ import annotations

import pickle

import pytest

import rpcshell
from rpcshell import (
    CallError,
    CallTimeout,
    Cancelled,
    ConnectionFailed,
    ConnectionLost,
    NotConnected,
    ProtocolError,
    ShellError,
    SpawnFailed,
    SyntaxProblem,
    TcpTarget,
    TlsFailed,
    TlsTarget,
    Unexpected,
    UsageError,
)
from rpcwire import ErrorCode, Reply

TARGET = TcpTarget("127.0.0.1", 8080)
ERRORS = [
    (UsageError("no", hint="yes"), 2),
    (SyntaxProblem("no", line="ping x", column=5, expected="JSON"), 2),
    (CallError("no", code=-32000, data=[1], method="ping"), 1),
    (ConnectionFailed(TARGET, "connection refused", hint="start it"), 3),
    (NotConnected(), 3),
    (TlsFailed(TlsTarget("example.org", 443), "its certificate has expired"), 3),
    (ConnectionLost(TARGET, "gone", may_have_run=True), 3),
    (CallTimeout(1.5, method="ping"), 3),
    (ProtocolError("no"), 3),
    (SpawnFailed("no", traceback="T"), 3),
    (Cancelled("no"), 130),
    (Unexpected(ValueError("no"), debug=True), 70),
]


def test_every_exported_name_is_there() -> None:
    names: dict[str, object] = {}
    exec("from rpcshell import *", names)  # noqa: S102 - the statement is what is tested
    assert set(rpcshell.__all__) <= set(names)
    assert dir(rpcshell) == sorted(rpcshell.__all__)


def test_every_error_is_exported() -> None:
    assert {type(error).__name__ for error, _ in ERRORS} | {"ShellError"} <= set(rpcshell.__all__)
    ours = {kind for kind in ShellError.__subclasses__() if kind.__module__ == "rpcshell.client.errors"}
    assert {type(error) for error, _ in ERRORS} >= ours


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonesuch"):
        rpcshell.nonesuch  # noqa: B018 - looking it up is what is tested


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_knows_its_exit_code_and_survives_pickling(error: ShellError, code: int) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - these bytes were made one call before
    assert error.exit_code == code
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_the_texts_say_what_happened_and_what_to_do() -> None:
    assert str(ERRORS[3][0]) == "cannot connect to 127.0.0.1:8080: connection refused (start it)"
    assert "may have run" in str(ConnectionLost(TARGET, "gone", may_have_run=True))
    assert "did not run" in str(ConnectionLost(TARGET, "gone", may_have_run=False))
    assert str(CallTimeout(1.5, method="ping")) == "ping: no reply within 1.5 s; the server may still be running it"


def test_an_error_reply_becomes_an_error_and_a_good_one_does_not() -> None:
    assert CallError.of_reply("ping", Reply("pong", 1), 0.5) is None
    error = CallError.of_reply("ping", Reply("error", {"code": 7, "message": "no"}), 0.5)
    assert error is not None
    assert (error.code, error.message, error.data, error.elapsed) == (7, "no", None, 0.5)
    foreign = CallError.of_reply("ping", Reply("error", "boom"), 0.5)
    assert foreign is not None
    assert (foreign.code, foreign.message, foreign.data) == (ErrorCode.APPLICATION_ERROR, "boom", "boom")
