"""How params reach a handler: by name, by position or whole; and what callers are told when they do not fit."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from rpcserver import RpcError
from tests.rpcserver.calling import ABSENT, caller_of
from tests.steps import steps


class Point(msgspec.Struct):
    x: int
    y: int = 0


@dataclasses.dataclass
class Person:
    name: str
    tags: list[str] = dataclasses.field(default_factory=list)


def add(a: int, b: int = 10) -> list[int]:
    return [a, b]


@pytest.mark.parametrize(
    ("params", "result"),
    [({"a": 1}, [1, 10]), ({"b": 2, "a": 1}, [1, 2]), ([1], [1, 10]), ([1, 2], [1, 2])],
)
def test_params_are_bound_by_name_and_by_position(params: Any, result: list[int]) -> None:
    assert caller_of(add).call("f", params) == result


@pytest.mark.parametrize("params", [ABSENT, None, {}, []])
def test_nothing_may_be_sent_where_nothing_is_required(params: Any) -> None:
    def handler(a: int = 1, *, b: str = "x") -> str:
        return f"{a}{b}"

    def bare() -> str:
        return "bare"

    assert caller_of(handler).call("f", params) == "1x"
    assert caller_of(bare).call("f", params) == "bare"


@pytest.mark.parametrize(
    ("params", "path", "says"),
    [
        (ABSENT, "$.a", "needs a"),
        (None, "$.a", "needs a"),
        ({}, "$.a", "needs a"),
        ({"b": 1}, "$.a", "needs a"),
        ([], "$.a", "needs a"),
        ({"a": 1, "bb": 2}, "$.bb", "no parameter 'bb'; did you mean 'b'"),
        ({"zzz": 2}, "$.zzz", "no parameter 'zzz'; call it as f(a: integer, b: integer = 10)"),
        ({"a": "1"}, "$.a", "expected integer, got string"),
        ({"a": 1.5}, "$.a", "expected integer, got number"),
        ({"a": True}, "$.a", "expected integer, got boolean"),
        ({"a": None}, "$.a", "expected integer, got null"),
        ([1, "2"], "$[1]", "$[1] (b) of f: expected integer, got string"),
        ([1, 2, 3], "$[2]", "at most 2 params by position, not 3"),
        (5, "$", "not integer"),
        ("a", "$", "not string"),
        (False, "$", "not boolean"),
        (1.5, "$", "not number"),
    ],
)
def test_params_that_do_not_fit_are_refused_and_the_place_and_the_right_form_named(
    params: Any, path: str, says: str
) -> None:
    fault = caller_of(add).fault("f", params)
    assert fault["code"] == -32602
    assert fault["data"]["path"] == path
    assert says in fault["message"]
    assert "f(a: integer, b: integer = 10)" in fault["message"]


def test_faults_of_params_carry_what_programs_need() -> None:
    caller = caller_of(add)
    assert caller.fault("f", {"a": "x"})["data"] == {"path": "$.a", "expected": "integer", "got": "string"}
    assert caller.fault("f", {})["data"] == {"path": "$.a", "missing": ["a"]}
    assert caller.fault("f", {"a": 1, "c": 2, "d": 3})["data"] == {
        "path": "$.c",
        "unknown": ["c", "d"],
        "known": ["a", "b"],
    }


def test_a_wrong_value_deep_inside_is_named_by_its_path() -> None:
    def handler(people: list[Person], at: dict[str, Point]) -> None: ...

    caller = caller_of(handler)
    fault = caller.fault("f", {"people": [{"name": "a"}, {"name": 5}], "at": {}})
    assert fault["data"] == {"path": "$.people[1].name", "expected": "string", "got": "integer"}
    assert caller.fault("f", {"people": [], "at": {"here": {"x": "1"}}})["data"]["path"] == "$.at[...].x"
    assert caller.fault("f", {"people": [{}], "at": {}})["data"]["path"] == "$.people[0]"


def test_a_wrong_key_is_named_by_the_path_of_its_object() -> None:
    def handler(counts: dict[int, int]) -> dict[int, int]:
        return counts

    caller = caller_of(handler)
    assert caller.call("f", [{"1": 2}]) == {"1": 2}
    fault = caller.fault("f", {"counts": {"one": 2}})
    assert fault["data"]["path"] == "$.counts"
    assert "a key of $.counts of f: expected integer, got string" in fault["message"]


def test_a_single_parameter_named_params_takes_them_whole() -> None:
    caller = caller_of(lambda params: params)
    for params in ({"a": 1}, [1, 2], 5, "x", None, True, {"params": 1}):
        assert caller.call("f", params) == params
    assert caller.call("f") is None


def test_the_annotation_of_whole_params_checks_them() -> None:
    def handler(params: list[Point]) -> int:
        return sum(point.x for point in params)

    caller = caller_of(handler)
    assert caller.call("f", [{"x": 1}, {"x": 2}]) == 3
    assert caller.fault("f", [{"x": "1"}])["data"]["path"] == "$[0].x"
    assert caller.fault("f", {"x": 1})["data"] == {"path": "$", "expected": "array", "got": "object"}
    assert caller.fault("f")["data"] == {"path": "$", "expected": "array", "got": "null"}


def test_whole_params_with_a_default_take_it_for_null() -> None:
    fallback = {"size": 3}

    def typed(params: Point = Point(7, 8)) -> int:  # noqa: B008 - the default object is what is tested
        return params.x

    def untyped(params: Any = fallback) -> bool:
        return params is fallback

    def optional(params: Point | None = None) -> bool:
        return params is None

    for sent in (ABSENT, None):
        assert caller_of(typed).call("f", sent) == 7
        assert caller_of(untyped).call("f", sent) is True
        assert caller_of(optional).call("f", sent) is True
    assert caller_of(typed).call("f", {"x": 1}) == 1
    assert caller_of(untyped).call("f", {"size": 3}) is False


def test_params_among_others_is_a_parameter_like_any() -> None:
    def handler(params: int, more: int = 1) -> int:
        return params + more

    assert caller_of(handler).call("f", {"params": 1}) == 2

    def by_keyword(*, params: int) -> int:
        return params

    assert caller_of(by_keyword).call("f", {"params": 1}) == 1


def test_parameters_by_keyword_only() -> None:
    def handler(a: int, /, b: int = 2, *, c: int, d: int = 4) -> list[int]:
        return [a, b, c, d]

    caller = caller_of(handler)
    assert caller.call("f", {"a": 1, "c": 3}) == [1, 2, 3, 4]
    assert caller.call("f", {"d": 0, "c": 3, "b": 5, "a": 1}) == [1, 5, 3, 0]
    fault = caller.fault("f", [1, 2])
    assert fault["data"] == {"path": "$.c", "missing": ["c"]}
    assert "needs c by name" in fault["message"]
    assert caller.fault("f", [1, 2, 3])["data"]["expected"] == 2
    assert caller.fault("f", {"a": 1})["data"]["missing"] == ["c"]


def test_optional_parameters_by_keyword_keep_their_defaults_for_params_by_position() -> None:
    def handler(a: int, *, b: int = 2) -> list[int]:
        return [a, b]

    assert caller_of(handler).call("f", [1]) == [1, 2]


def test_a_default_is_the_handlers_own_object_as_in_any_call() -> None:
    def handler(item: int, seen: list[int] = []) -> list[int]:  # noqa: B006 - Python's own semantics are what is tested
        seen.append(item)
        return seen

    caller = caller_of(handler)
    assert [caller.call("f", {"item": n}) for n in (1, 2)] == [[1], [1, 2]]
    assert caller.call("f", [3]) == [1, 2, 3]
    assert caller.call("f", {"item": 4, "seen": []}) == [4]
    assert caller.call("f", [5]) == [1, 2, 3, 5]


def test_a_default_may_be_of_another_type_than_its_parameter() -> None:
    none: Any = None
    nothing: Any = object()

    def handler(limit: int = none, marker: int = nothing) -> bool:
        return limit is None and marker is nothing

    caller = caller_of(handler)
    assert caller.call("f") is True
    assert caller.call("f", [1]) is False


def test_names_that_a_struct_would_not_take_are_parameters() -> None:
    def handler(__struct_fields__: int, self: int, p1: int, cls: int = 4) -> list[int]:
        return [__struct_fields__, self, p1, cls]

    sent = {"__struct_fields__": 1, "self": 2, "p1": 3}
    assert caller_of(handler).call("f", sent) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("body", "most"),
    [
        (b'{"in":"F","params":{"a":1}}', 1.2),
        (b'{"in":"f","params":{"a":"x"}}', 1.8),
        (b'{"in":"f","params":{}}', 1.9),
        (b'{"in":"f","params":', 2.6),
        (b'{"method":"f"}', 2.6),
    ],
)
def test_a_mistake_made_again_takes_little_more_work_than_a_good_call(body: bytes, most: float) -> None:
    caller = caller_of(add)

    def work(body: bytes) -> int:
        caller.body(body)
        return steps(lambda: caller.dispatcher.answer(body, caller.peer))

    assert work(body) < most * work(b'{"in":"f","params":{"a":1}}')


@pytest.mark.parametrize(("data", "most"), [(UNSET, 1.9), ({"limit": 1}, 1.95)])
def test_an_error_that_a_handler_raises_takes_little_more_work_than_a_result(data: Any, most: float) -> None:
    def handler(a: int) -> int:
        if a:
            raise RpcError("too many", data=data)
        return a

    caller = caller_of(handler)
    caller.call("f", {"a": 0})

    def work(body: bytes) -> int:
        return steps(lambda: caller.dispatcher.answer(body, caller.peer))

    assert work(b'{"in":"f","params":{"a":1}}') < most * work(b'{"in":"f","params":{"a":0}}')


def test_a_mistake_made_again_is_answered_to_who_made_it() -> None:
    caller = caller_of(add)
    faults = [caller.request("f", {}, id=number) for number in (1, 2)]
    assert [reply["id"] for reply in faults] == [1, 2]
    assert faults[0]["result"] == faults[1]["result"]
    call = b'{"jsonrpc":"2.0","id":3,"method":"f","params":{}}'
    assert caller.body(call) == {"jsonrpc": "2.0", "id": 3, "error": faults[0]["result"]}
