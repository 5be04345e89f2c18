from __future__ import annotations

import sys
from typing import TypeVar

import pytest

from rpcserver.service.source import has_own_frames, one_line, own_traceback
from rpcserver.system.errors import QuickStop
from rpcserver.system.printable import printable
from tests.rpcserver.calling import caller_of


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError


Error = TypeVar("Error", bound=BaseException)


def raised(error: Error, cause: BaseException | None = None) -> Error:
    with pytest.raises(type(error)):
        raise error from cause
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (SystemExit(3), "SystemExit: 3"),
        (Silent(), "Silent: (its text cannot be made: RuntimeError)"),
    ],
)
def test_an_exception_in_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line


def test_a_traceback_shows_the_frames_of_other_code_and_the_causes() -> None:
    shown = own_traceback(raised(ValueError("effect"), raised(OSError("cause"))))
    assert shown.count(f'File "{__file__}"') == 2
    assert shown.index("OSError: cause") < shown.index("direct cause") < shown.index("ValueError: effect")


def test_the_frames_of_this_package_are_left_out() -> None:
    with pytest.raises(QuickStop) as caught:
        caller_of(lambda: raise_(QuickStop())).call("f")
    assert "dispatch.py" in str(caught.traceback)
    shown = own_traceback(caught.value)
    assert "server/rpcserver" not in shown
    assert "in raise_" in shown


def raise_(error: BaseException) -> None:
    raise error


def test_groups_are_shown_with_what_they_hold() -> None:
    shown = own_traceback(raised(ExceptionGroup("several", [raised(ValueError("a")), raised(OSError("b"))])))
    assert "ValueError: a" in shown
    assert "OSError: b" in shown


def test_a_chain_of_causes_longer_than_the_stack_is_shown() -> None:
    error = raised(ValueError("first"))
    for _ in range(sys.getrecursionlimit() * 2):
        error = raised(ValueError("next"), error)
    assert "ValueError: first" in own_traceback(error)


def test_own_frames_are_found() -> None:
    assert has_own_frames(raised(ValueError()).__traceback__)
    assert not has_own_frames(None)
    with pytest.raises(ModuleNotFoundError) as caught:
        __import__("zzz_missing")
    trace = caught.value.__traceback__
    assert trace is not None
    assert not has_own_frames(trace.tb_next)


def test_lone_surrogates_become_escapes() -> None:
    assert printable("a\udcffb") == "a\\udcffb"
    assert printable("ü\U0001f600") == "ü\U0001f600"
