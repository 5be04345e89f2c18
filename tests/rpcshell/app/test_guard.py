from __future__ import annotations

import errno
import threading

import pytest

from rpcshell.app.guard import foreseen, threads_told
from rpcshell.client.errors import ShellError, Unexpected, UsageError
from rpcshell.shell.session import Leave


@pytest.mark.parametrize(
    "error", [UsageError("no"), Leave(), EOFError(), OSError(errno.EIO, "gone"), KeyboardInterrupt()]
)
def test_what_is_foreseen_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, foreseen(EOFError, debug=False):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), OSError(errno.ENOENT, "none"), ValueError("x\ny")]
)
def test_whatever_else_becomes_an_error_of_one_line(error: Exception) -> None:
    with pytest.raises(ShellError) as raised, foreseen(debug=False):
        raise error
    assert isinstance(raised.value, Unexpected)
    assert str(raised.value).startswith(f"unexpected {type(error).__name__}")
    assert "\n" not in str(raised.value)
    assert raised.value.traceback == ""


def test_a_long_text_is_cut() -> None:
    assert len(str(Unexpected(ValueError("x" * 10**6)))) < 1000


def test_a_traceback_is_there_for_whoever_asks() -> None:
    with pytest.raises(Unexpected) as raised, foreseen(debug=True):
        raise ValueError("x")
    assert "in test_a_traceback_is_there_for_whoever_asks" in raised.value.traceback


def test_what_ends_a_thread_is_told() -> None:
    told: list[Unexpected] = []

    def fail() -> None:
        raise ValueError("x")

    with threads_told(told.append, debug=False):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert [error.message for error in told] == ["unexpected ValueError: x"]
