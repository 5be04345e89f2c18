"""Which handlers are refused before a worker serves, and how the `Context` reaches those that ask for it."""

from __future__ import annotations

import enum
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import msgspec
import pytest

from rpcserver import Context, Example, Service, ServiceError
from rpcserver.service.signature import read_signature
from tests.rpcserver.calling import WORKER, Caller, caller_of

if TYPE_CHECKING:
    from fractions import Fraction


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


class Strange:
    """Nothing JSON knows."""


def with_context(a: int, context: Context, b: int = 2) -> list[Any]:
    return [a, b, context.method, context.peer.address, context.worker.worker]


def with_optional_context(a: int = 1, context: Optional[Context] = None) -> list[Any]:  # noqa: UP045 - both spellings are tested
    return [a, context is not None]


def with_context_by_keyword(a: int = 1, *, c: int = 3, context: Context | None = None) -> list[Any]:
    return [a, c, context is not None]


def with_annotated_context(params: Any, context: Annotated[Context, "told"]) -> list[Any]:
    return [params, context.worker is WORKER]


async def with_context_async(context: Context, a: int) -> list[Any]:
    return [a, context.method]


@pytest.mark.parametrize(
    ("handler", "params", "result"),
    [
        (with_context, {"a": 1}, [1, 2, "f", "127.0.0.1:50000", 3]),
        (with_context, [1, 5], [1, 5, "f", "127.0.0.1:50000", 3]),
        (with_optional_context, None, [1, True]),
        (with_optional_context, [4], [4, True]),
        (with_context_by_keyword, None, [1, 3, True]),
        (with_context_by_keyword, [2], [2, 3, True]),
        (with_context_by_keyword, {"c": 4}, [1, 4, True]),
        (with_annotated_context, [1, 2], [[1, 2], True]),
        (with_context_async, [7], [7, "f"]),
    ],
)
def test_the_context_is_given_where_it_is_asked_for(handler: Any, params: Any, result: Any) -> None:
    assert caller_of(handler).call("f", params) == result


def test_callers_cannot_give_the_context() -> None:
    fault = caller_of(with_context).fault("f", {"a": 1, "context": {}})
    assert fault["data"]["unknown"] == ["context"]
    assert caller_of(with_context).fault("f", [1, 2, 3])["code"] == -32602


def variadic(*args: int) -> None: ...
def variadic_by_keyword(**options: int) -> None: ...
def with_strange(value: Strange) -> None: ...
def with_strange_inside(value: list[dict[str, Strange]]) -> None: ...
def with_strange_result() -> Strange: ...  # type: ignore[empty-body]  # never called
def with_callable(value: Callable[[], int]) -> None: ...
def with_structs_untagged(value: Point | Tree) -> None: ...
def with_hidden_import(value: Fraction) -> None: ...
def with_unknown_name(value: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037 - the mistake is the point
def with_broken_annotation(value: "list[") -> None: ...  # type: ignore[valid-type]  # noqa: F722 - the mistake is the point
def with_attribute(value: enum.nothing) -> None: ...  # type: ignore[name-defined]  # the mistake is the point
def with_two_contexts(first: Context, second: Context) -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (variadic, r"\*args"),
        (variadic_by_keyword, r"\*\*options"),
        (with_strange, "parameter 'value'.*Strange"),
        (with_strange_inside, "parameter 'value'.*Strange"),
        (with_strange_result, "the result.*Strange"),
        (with_callable, "parameter 'value'"),
        (with_structs_untagged, "tag"),
        (with_hidden_import, "'Fraction'.*TYPE_CHECKING"),
        (with_unknown_name, "'Nowhere'"),
        (with_broken_annotation, "cannot be resolved"),
        (with_attribute, "nothing"),
        (with_two_contexts, "one is enough"),
        (generator, "list"),
        (async_generator, "list"),
        (dict, "signature"),
    ],
)
def test_a_handler_that_cannot_be_served_is_refused_when_the_worker_starts(handler: Any, says: str) -> None:
    service = Service("test")
    service.method(name="the.method")(handler)
    with pytest.raises(ServiceError, match=says) as caught:
        Caller(service)
    assert caught.value.handler == "the.method"
    if handler is not dict:
        assert caught.value.location == f"{__file__}:{handler.__code__.co_firstlineno}"
        assert str(caught.value).startswith(f"the.method ({__file__}:")


def test_a_decorator_that_makes_a_list_of_a_generator_is_served() -> None:
    def listed(function: Callable[[int], Iterator[int]]) -> Callable[[int], list[int]]:
        @functools.wraps(function)
        def collected(count: int) -> list[int]:
            return list(function(count))

        return collected

    def numbers(count: int):  # type: ignore[no-untyped-def]  # a result type would be the wrapped one's
        yield from range(count)

    assert caller_of(listed(numbers)).call("f", [3]) == [0, 1, 2]


def test_never_returning_is_no_reason_to_refuse() -> None:
    def handler() -> NoReturn:
        raise ValueError

    assert caller_of(handler).fault("f")["code"] == -32603


def add(a: int, b: int = 10) -> list[int]:
    return [a, b]


@pytest.mark.parametrize(
    "example", [Example({"a": "x"}), Example([1, 2, 3]), {"c": 1}, Example({"a": float("nan")}), Example([1], {1j})]
)
def test_an_example_that_no_caller_could_send_is_refused(example: Any) -> None:
    with pytest.raises(ServiceError, match="example 2 does not fit"):
        caller_of(add, examples=[[1], example])


def test_a_signature_says_what_was_read() -> None:
    signature = read_signature(with_context_by_keyword, "f")
    assert [parameter.name for parameter in signature.parameters] == ["a", "c"]
    assert [parameter.name for parameter in signature.keyword_only] == ["c"]
    assert signature.context_at == "context"
    assert not signature.whole
    assert not signature.is_async
    assert read_signature(with_context, "f").context_at == 1
    assert read_signature(with_context_async, "f").is_async
