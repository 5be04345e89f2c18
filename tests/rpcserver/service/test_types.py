"""Every kind of annotation: what arrives at a handler, what is refused, and what is answered."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict, Union

import msgspec
import pytest

from tests.rpcserver.calling import ABSENT, caller_of


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


@dataclasses.dataclass
class Person:
    name: str
    tags: list[str] = dataclasses.field(default_factory=list)


class Movie(TypedDict):
    title: str
    year: int


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Crate(msgspec.Struct):
    content: dict[str, object]
    label: object = None


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


KINDS: list[tuple[Any, Any, Any, Any]] = [
    (int, 1, 1, "1"),
    (int, 2**80, 2**80, 1.5),
    (float, 1, 1.0, "1"),
    (float, 2.5, 2.5, True),
    (str, "ü", "ü", 5),
    (bool, True, True, 1),
    (None, None, None, 0),
    (bytes, "aGk=", b"hi", "?"),
    (object, [1], [1], ABSENT),
    (Any, {"a": None}, {"a": None}, ABSENT),
    (list[object], [1, {"a": None}], [1, {"a": None}], {}),
    (dict[str, object], {"a": [None, 0.5]}, {"a": [None, 0.5]}, [1]),
    (object | None, {"a": "x"}, {"a": "x"}, ABSENT),
    (Crate, {"content": {"a": [1]}}, Crate({"a": [1]}), {"content": [1]}),
    (list, [1], [1], {}),
    (dict, {"a": 1}, {"a": 1}, []),
    (list[int], [1, 2], [1, 2], ["1"]),
    (dict[str, list[int]], {"a": [1]}, {"a": [1]}, {"a": 1}),
    (tuple[int, str], [1, "x"], (1, "x"), [1]),
    (set[int], [1], {1}, ["x"]),
    (Sequence[int], [1], [1], 5),
    (Mapping[str, int], {"a": 1}, {"a": 1}, [1]),
    (Optional[int], None, None, "x"),  # noqa: UP045 - both spellings are tested
    (int | None, 5, 5, "x"),
    (Union[int, str], "x", "x", 1.5),  # noqa: UP007 - both spellings are tested
    (Circle | Square, {"type": "square", "side": 2}, Square(2.0), {"type": "other"}),
    (Literal["a", 1], 1, 1, "b"),
    (Color, "red", Color.RED, "green"),
    (Point, {"x": 1}, Point(1, 0), {"y": 1}),
    (Person, {"name": "a"}, Person("a"), {"name": 1}),
    (Movie, {"title": "a", "year": 1}, {"title": "a", "year": 1}, {"title": "a"}),
    (Pair, [1], Pair(1), ["x"]),
    (Tree, {"value": 1, "children": [{"value": 2}]}, Tree(1, [Tree(2)]), {"value": 1, "children": [{}]}),
    (Annotated[int, msgspec.Meta(ge=1, le=3)], 3, 3, 4),
    (Annotated[str, msgspec.Meta(pattern="^a+$")], "aa", "aa", "b"),
    (Annotated[list[int], msgspec.Meta(max_length=1)], [1], [1], [1, 2]),
    (dt.datetime, "2026-11-23T14:00:00Z", dt.datetime(2026, 11, 23, 14, tzinfo=dt.UTC), "soon"),
    (dt.date, "2026-11-23", dt.date(2026, 11, 23), "2026-13-01"),
    (dt.timedelta, "PT1S", dt.timedelta(seconds=1), "1 s"),
    (uuid.UUID, "12345678123456781234567812345678", uuid.UUID("12345678123456781234567812345678"), "1"),
    (decimal.Decimal, "1.10", decimal.Decimal("1.10"), "x"),
]


@pytest.mark.parametrize(("kind", "sent", "received", "wrong"), KINDS)
def test_values_arrive_as_the_annotated_type_in_every_form(kind: Any, sent: Any, received: Any, wrong: Any) -> None:
    seen: list[Any] = []

    def bound(value):  # type: ignore[no-untyped-def]  # its annotation is set below
        seen.append(value)

    def whole(params):  # type: ignore[no-untyped-def]  # its annotation is set below
        seen.append(params)

    bound.__annotations__["value"] = kind
    whole.__annotations__["params"] = kind
    caller = caller_of(bound)
    caller.call("f", {"value": sent})
    caller.call("f", [sent])
    caller_of(whole).call("f", sent)
    assert seen == [received] * 3
    assert [type(value) for value in seen] == [type(received)] * 3
    if wrong is not ABSENT:
        assert caller.fault("f", {"value": wrong})["code"] == -32602
        assert caller.fault("f", [wrong])["code"] == -32602
        assert caller_of(whole).fault("f", wrong)["code"] == -32602


@pytest.mark.parametrize(("kind", "sent", "received", "wrong"), KINDS)
def test_values_of_every_type_are_answered(kind: Any, sent: Any, received: Any, wrong: Any) -> None:
    def handler():  # type: ignore[no-untyped-def]  # its annotation is set below
        return received

    handler.__annotations__["return"] = kind
    result = caller_of(handler).call("f")
    again = caller_of(lambda value: value).call("f", [result])
    assert again == result
