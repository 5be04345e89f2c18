from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from rpcserver import Example, RpcError, ServerError, Service, ServiceError
from rpcserver.service.service import Method
from rpcserver.service.source import handler_place
from tests.rpcserver.calling import Caller


def nothing() -> None:
    """Do nothing."""


def add(a: int, b: int = 0) -> int:
    return a + b


def test_a_bare_decorator_registers_under_the_functions_name_and_returns_it() -> None:
    service = Service("test")
    assert service.method(add) is add
    assert service.methods() == {"add": Method("add", add, "add")}


def test_options_are_kept_with_the_method() -> None:
    service = Service("test")
    decorate = service.method(
        name="sum.of", out="total", idempotent=True, deprecated=True, examples=[[1, 2]], summary="Sum.", blocking=False
    )
    assert decorate(add) is add
    (method,) = service.methods().values()
    assert method == Method("sum.of", add, "total", True, True, (Example([1, 2]),), "Sum.", False)


def test_the_out_name_is_the_methods_name_unless_given() -> None:
    service = Service("test")
    service.method(add)
    service.method(name="ping", out="pong")(nothing)
    assert [method.out for method in service.methods().values()] == ["add", "pong"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "rpc.mine"}, "'rpc.'"),
        ({"name": "rpc."}, "'rpc.'"),
        ({"name": ""}, "name"),
        ({"name": "two words"}, "white space"),
        ({"name": "tab\there"}, "white space"),
        ({"name": "bell\x07"}, "unprintable"),
        ({"name": "bidi\u202e"}, "unprintable"),
        ({"name": "half\ud800"}, "unprintable"),
        ({"name": 5}, "5"),
        ({"out": "error"}, "'error'"),
        ({"name": "error"}, "'error'"),
        ({"out": ""}, "out name"),
        ({"out": "half\ud800"}, "out name"),
    ],
)
def test_a_name_that_cannot_be_served_is_refused_with_the_handlers_place(options: dict[str, Any], says: str) -> None:
    service = Service("test")
    with pytest.raises(ServiceError, match=says) as caught:
        service.method(**options)(add)
    assert caught.value.location == f"{__file__}:{add.__code__.co_firstlineno}"
    assert service.methods() == {}


def test_a_name_that_only_looks_reserved_is_served() -> None:
    service = Service("test")
    for name in ("rpc", "rpcx.a", "Rpc.a", "größe", "订单.创建"):
        service.method(name=name)(add)
    assert Caller(service).call("订单.创建", [1, 2]) == 3


def test_a_name_is_registered_once_and_the_first_place_is_named() -> None:
    service = Service("test")
    service.method(name="add")(nothing)
    with pytest.raises(ServiceError, match="already registered") as caught:
        service.method(add)
    assert str(handler_place(nothing)) in caught.value.reason
    assert str(handler_place(add)) in str(caught.value)


def test_a_string_where_the_handler_should_be_is_explained() -> None:
    with pytest.raises(ServiceError, match="name="):
        Service("test").method("add")  # type: ignore[call-overload]  # the mistake is the point


def test_a_lambda_needs_a_name() -> None:
    service = Service("test")
    with pytest.raises(ServiceError, match="lambda"):
        service.method(lambda: 1)
    service.method(name="one")(lambda: 1)
    assert Caller(service).call("one") == 1


def test_include_serves_anothers_methods_under_a_prefix() -> None:
    users = Service("users")
    users.method(add)
    users.method(name="get", out="user")(add)
    service = Service("test")
    service.method(add)
    service.include(users, prefix="user.")
    assert [(name, method.out) for name, method in service.methods().items()] == [
        ("add", "add"),
        ("user.add", "user.add"),
        ("user.get", "user"),
    ]
    assert Caller(service).call("user.add", [1, 2]) == 3


def test_what_is_registered_after_include_is_served_too() -> None:
    users = Service("users")
    service = Service("test")
    service.include(users, prefix="user.")
    users.method(add)
    assert list(service.methods()) == ["user.add"]


def test_inclusions_nest() -> None:
    inner, middle, outer = Service("inner"), Service("middle"), Service("outer")
    inner.method(add)
    middle.include(inner, prefix="b.")
    outer.include(middle, prefix="a.")
    outer.include(inner)
    assert list(outer.methods()) == ["a.b.add", "add"]


def test_a_clash_by_inclusion_is_refused_and_leaves_the_service_as_it_was() -> None:
    service, other = Service("test"), Service("other")
    service.method(add)
    other.method(add)
    with pytest.raises(ServiceError, match="already registered"):
        service.include(other)
    assert list(service.methods()) == ["add"]


def test_a_clash_that_arises_after_the_inclusion_is_found() -> None:
    service, other = Service("test"), Service("other")
    service.include(other)
    service.method(add)
    other.method(add)
    with pytest.raises(ServiceError, match="already registered"):
        service.methods()


@pytest.mark.parametrize("prefix", ["rpc.", "two words."])
def test_a_prefix_cannot_make_a_name_that_is_refused(prefix: str) -> None:
    other = Service("other")
    other.method(add)
    with pytest.raises(ServiceError):
        Service("test").include(other, prefix=prefix)


def test_a_prefix_cannot_make_the_out_name_of_errors() -> None:
    other = Service("other")
    other.method(name="or")(add)
    with pytest.raises(ServiceError, match="'error'"):
        Service("test").include(other, prefix="err")


def test_services_cannot_include_each_other() -> None:
    first, second, third = Service("first"), Service("second"), Service("third")
    first.include(second)
    second.include(third)
    with pytest.raises(ServiceError, match="includes that itself"):
        third.include(first)
    with pytest.raises(ServiceError, match="includes that itself"):
        first.include(first)


def test_only_services_are_included() -> None:
    with pytest.raises(ServiceError, match="from_dict"):
        Service("test").include({"add": add})  # type: ignore[arg-type]  # the mistake is the point


def test_hooks_run_included_first_and_stop_in_reverse_and_once_each() -> None:
    database, users, service = Service("database"), Service("users"), Service("test")
    hooks: dict[str, Any] = {}
    for name, owner in (("service", service), ("users", users), ("database", database)):
        hooks[name] = functools.partial(print, name)
        assert owner.on_worker_start(hooks[name]) is hooks[name]
        assert owner.on_worker_stop(hooks[name]) is hooks[name]
    users.include(database)
    service.include(users)
    service.include(database, prefix="db.")
    assert service.start_hooks == (hooks["database"], hooks["users"], hooks["service"])
    assert service.stop_hooks == (hooks["service"], hooks["users"], hooks["database"])


def test_a_hook_must_be_callable() -> None:
    with pytest.raises(ServiceError, match="on_worker_start"):
        Service("test").on_worker_start(None)  # type: ignore[type-var]  # the mistake is the point


def test_preload_hooks_are_plain_functions_and_those_of_what_is_included_come_first() -> None:
    inner, outer = Service("inner"), Service("outer")
    outer.include(inner, "in.")

    @outer.on_preload
    def later() -> None: ...

    @inner.on_preload
    def first() -> None: ...

    assert outer.preload_hooks == (first, later)
    with pytest.raises(ServiceError, match="on_worker_start for a coroutine"):

        @outer.on_preload
        async def connect() -> None: ...


def test_a_dict_of_callables_is_a_service() -> None:
    service = Service.from_dict({"ping": lambda params: params, "add": add}, name="plain", version="3")
    assert (service.name, service.version) == ("plain", "3")
    caller = Caller(service)
    assert caller.call("ping", {"a": [1]}) == {"a": [1]}
    assert caller.call("add", {"a": 1}) == 1


@pytest.mark.parametrize("handlers", [{"a": 5}, {5: add}, {"rpc.a": add}, {"": add}])
def test_a_dict_with_anything_else_is_refused(handlers: Any) -> None:
    with pytest.raises(ServiceError):
        Service.from_dict(handlers)


class Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def up(self, by: int = 1) -> int:
        self.count += by
        return self.count

    def __call__(self, times: int) -> int:
        return self.count * times

    @staticmethod
    def zero(start: int = 0) -> int:
        return start

    @classmethod
    def kind(cls, suffix: str = "") -> str:
        return cls.__name__ + suffix


def test_methods_objects_partials_and_cached_functions_are_handlers() -> None:
    counter = Counter()
    service = Service("test")
    service.method(counter.up)
    service.method(name="times")(counter)
    service.method(Counter.zero)
    service.method(Counter.kind)
    service.method(name="five")(functools.partial(add, 5))
    service.method(name="cached")(functools.lru_cache(add))
    caller = Caller(service)
    assert caller.call("up", {"by": 2}) == 2
    assert caller.call("times", {"times": 3}) == 6
    assert caller.call("zero") == 0
    assert caller.call("kind", ["!"]) == "Counter!"
    assert caller.call("five", {"b": 1}) == 6
    assert caller.call("cached", {"a": 1}) == 1
    assert caller.fault("times", {"times": "x"})["code"] == -32602
    assert caller.fault("cached", {"a": "x"})["code"] == -32602


class Doubler:
    async def __call__(self, value: int) -> int:
        return value * 2


def test_coroutine_functions_of_every_kind_are_handlers() -> None:
    async def times(a: int, b: int) -> int:
        return a * b

    service = Service("test")
    service.method(name="object")(Doubler())
    service.method(name="partial")(functools.partial(times, 3))
    service.method(name="partial.object")(functools.partial(Doubler()))
    caller = Caller(service)
    assert caller.call("object", [4]) == 8
    assert caller.call("partial", {"b": 5}) == 15
    assert caller.call("partial.object", {"value": 6}) == 12
    assert caller.fault("partial.object", {"value": "6"})["code"] == -32602


@pytest.mark.parametrize("options", [{"name": 5}, {"name": "x", "version": 1.0}, {"name": "x", "description": None}])
def test_a_service_is_described_in_text(options: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match="text"):
        Service(**options)


def test_an_rpc_error_keeps_its_fields() -> None:
    error = RpcError("no such user", 404, {"id": 5})
    assert (error.message, error.code, error.data) == ("no such user", 404, {"id": 5})
    assert str(error) == "no such user (code 404)"
    assert RpcError("x").code == -32000
    assert isinstance(error, ServerError)


@pytest.mark.parametrize("arguments", [(5,), ("x", "5"), ("x", 1.5), ("x", True)])
def test_an_rpc_error_of_other_types_is_refused_where_it_is_made(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        RpcError(*arguments)


def test_a_handlers_place_is_its_own_source_line() -> None:
    assert handler_place(functools.partial(functools.lru_cache(add), 1)) == handler_place(add)
    assert handler_place(Counter()) == f"{__file__}:{Counter.__call__.__code__.co_firstlineno}"
    assert handler_place(print) is None
    assert Path(str(handler_place(add)).rpartition(":")[0]) == Path(__file__)


def test_a_method_called_error_is_served_under_another_out_name() -> None:
    service = Service("test")
    service.method(name="error", out="failure")(nothing)
    assert Caller(service).request("error") == {"out": "failure", "result": None}
