from collections.abc import Sequence
from typing import Any

import pytest

from rpcshell.commands.export.expected import Expectations
from rpcshell.commands.export.exported import Secrets, call_key
from rpcshell.commands.export.literals import literal
from rpcshell.line.catalog import Method
from rpcshell.shell.call import Call
from tests.rpcshell.commands.export.calls import BEGAN, META, answered, export, method


def expected(records: Sequence[Call], *methods: Method, again: Any = ..., exact: bool = False) -> tuple[str, bool]:
    """What is expected of the last call as Python source, and whether it is as it was."""
    more = {} if again is ... else {call_key(records[-1]): [again]}
    exported = export(records, *methods, again=more, exact=exact)
    found = Expectations(exported, Secrets(exported.records)).of(exported.records[-1])
    assert found is not None
    return literal(found.value), found.exact


def test_a_result_that_came_twice_is_expected_again() -> None:
    assert expected([answered("m", 1, [1.5, "x"])], method("m"), again=[1.5, "x"]) == ('[1.5, "x"]', True)
    assert expected([answered("m", 1, 3), answered("m", 1, 3)]) == ("3", True)


def test_a_result_that_came_once_is_expected_by_its_form() -> None:
    result = {"n": 1, "f": 1.5, "s": "x", "b": True, "none": None, "list": [{"a": 1}, {"a": 2}], "empty": [], "o": {}}
    form = (
        '{"n": Some(int, float), "f": Some(int, float), "s": Some(str), "b": Some(bool), "none": ANY, '
        '"list": Each({"a": Some(int, float)}), "empty": Some(list), "o": Some(dict)}'
    )
    text, exact = expected([answered("m", 1, result)])
    assert " ".join(text.split()).replace("{ ", "{").replace(", }", "}") == form
    assert not exact


def test_only_what_differs_is_left_open() -> None:
    first, second = {"same": 1, "other": 2, "list": [1, 2]}, {"same": 1, "other": "x", "list": [1, 3]}
    text, exact = expected([answered("m", 1, first)], method("m"), again=second)
    assert (text, exact) == ('{"same": 1, "other": Some(int, float, str), "list": [1, Some(int, float)]}', True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pid", 12),
        ("workerPid", 12),
        ("created_at", "yesterday"),
        ("elapsed_ms", 3),
        ("x", META.pid),
        ("x", 0.0062),
        ("x", BEGAN + 5),
        ("x", int(BEGAN * 1000)),
        ("x", "2026-11-23T17:22:05.527896Z"),
        ("x", "0190b6d2-9c2f-7c3e-8a4e-0c3f1b7a9d10"),
    ],
)
def test_what_is_of_one_run_is_never_expected(key: str, value: Any) -> None:
    text, exact = expected([answered("m", 1, {key: value, "y": 1})], method("m"), again={key: value, "y": 1})
    assert "Some(" in text
    assert text.endswith(', "y": 1}')
    assert exact


@pytest.mark.parametrize("value", ["2026", "a time", "pid", 12, 0.02, True, None, "deadbeef"])
def test_the_rest_is(value: Any) -> None:
    assert expected([answered("m", 1, {"stopid": value})], method("m"), again={"stopid": value})[0] == (
        literal({"stopid": value})
    )


def test_a_call_that_may_change_something_makes_its_relatives_uncertain() -> None:
    listed = answered("user.list", 1, [1])
    add = answered("user.add", 1, 1)
    assert expected([add, listed], method("user.list"), again=[1]) == ("Each(Some(int, float))", False)
    assert expected([answered("order.add", 1, 1), listed], method("user.list"), again=[1]) == ("[1]", True)
    assert expected([add, listed], method("user.list"), again=[1], exact=True) == ("[1]", True)


def test_the_schema_tells_maps_and_integers() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "by_day": {"type": "object"}}}
    known = method("m", schema, idempotent=False)
    assert (
        expected([answered("m", 1, {"n": 1, "by_day": {"monday": 1}})], known)[0]
        == '{"n": Some(int), "by_day": Some(dict)}'
    )


def test_a_result_that_nobody_would_read_is_expected_by_its_form() -> None:
    assert expected([answered("m", 1, "x" * 5000)], method("m"), again="x" * 5000) == ("Some(str)", False)
    large = {str(at): at for at in range(1000)}
    assert expected([answered("m", 1, large)], method("m"), again=large) == ("Some(dict)", False)
