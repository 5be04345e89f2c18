"""What `rpc.discover` answers: a valid OpenRPC document that says what handlers take and return."""

from __future__ import annotations

import enum
import inspect
import json
import keyword
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from rpcserver import Context, Example, Service
from rpcserver.testing.demo import service as demo
from tests.rpcserver.calling import Caller
from tests.rpcserver.service.test_types import KINDS

DATA = Path(__file__).parent / "data"


def openrpc_validator() -> jsonschema.Draft7Validator:
    openrpc = json.loads((DATA / "openrpc.schema.json").read_text())
    schema = json.loads((DATA / "json-schema-tools.schema.json").read_text())
    resource: Resource[Any] = DRAFT7.create_resource(schema)
    registry: Registry[Any] = Registry().with_resources(
        [("https://meta.json-schema.tools", resource), ("https://meta.json-schema.tools/", resource)]
    )
    return jsonschema.Draft7Validator(openrpc, registry=registry)


VALIDATOR = openrpc_validator()


def discover(service: Service) -> dict[str, Any]:
    """The document of a service, after checking it."""
    document = Caller(service).call("rpc.discover")
    VALIDATOR.validate(document)
    for method in document["methods"]:
        required = [parameter["required"] for parameter in method["params"]]
        assert required == sorted(required, reverse=True), "what is required comes first"
        for described in (*method["params"], method["result"]):
            checked_schema(document, described["schema"])
    return dict(document)


def checked_schema(document: dict[str, Any], schema: Any) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator({**schema, "components": document.get("components", {})})


def described(handler: Any, **options: Any) -> dict[str, Any]:
    service = Service("test")
    service.method(name="f", **options)(handler)
    (method,) = discover(service)["methods"]
    return dict(method)


def params_of(handler: Any) -> dict[str, Any]:
    return {parameter["name"]: parameter for parameter in described(handler)["params"]}


def test_the_document_is_written_once() -> None:
    caller = Caller(demo)
    first, second = (caller.dispatcher.answer(b'{"in":"rpc.discover"}', caller.peer) for _ in range(2))
    assert first is second


def test_the_meta_schema_refuses_what_is_no_document() -> None:
    document = Caller(demo).call("rpc.discover")
    assert VALIDATOR.is_valid(document)
    mistakes: list[dict[str, Any]] = [{"openrpc": "9"}, {"methods": [{"name": "x"}]}, {"surplus": 1}, {"info": {}}]
    for wrong in mistakes:
        assert not VALIDATOR.is_valid({**document, **wrong})


def test_the_document_names_the_service() -> None:
    document = discover(Service("calc", version="1.2", description="Sums."))
    assert document == {
        "openrpc": "1.3.2",
        "info": {"title": "calc", "version": "1.2", "description": "Sums."},
        "methods": [],
    }


def test_discovery_replies_under_its_own_name_and_is_not_listed() -> None:
    reply = Caller(demo).request("rpc.discover", id=1)
    assert (reply["out"], reply["id"]) == ("rpc.discover", 1)
    assert "rpc.discover" not in [method["name"] for method in reply["result"]["methods"]]


def test_discovery_takes_no_params_and_answers_the_same_every_time() -> None:
    caller = Caller(demo)
    document = caller.call("rpc.discover")
    assert caller.call("rpc.discover", {}) == document
    assert caller.request("rpc.discover", [], meta=True)["result"] == document
    assert caller.request("rpc.discover", closing=True) == {"out": "rpc.discover", "result": document, "close": True}
    assert caller.fault("rpc.discover", [1])["code"] == -32602


def test_a_plain_method_is_described_in_full() -> None:
    def add(a: float, b: float = 0) -> float:
        """Add two numbers.

        Exactly.

        Args:
            a: the first.
            b: the second,
                if there is one.

        Returns:
            their sum.
        """
        return a + b

    assert described(add, examples=[Example({"a": 1}, 1, "one", "Only one."), [2, 3]]) == {
        "name": "f",
        "summary": "Add two numbers.",
        "description": "Exactly.",
        "paramStructure": "either",
        "params": [
            {"name": "a", "description": "the first.", "required": True, "schema": {"type": "number"}},
            {
                "name": "b",
                "description": "the second, if there is one.",
                "required": False,
                "schema": {"type": "number", "default": 0},
            },
        ],
        "result": {"name": "result", "description": "their sum.", "schema": {"type": "number"}},
        "examples": [
            {
                "name": "one",
                "description": "Only one.",
                "params": [{"name": "a", "value": 1}],
                "result": {"name": "result", "value": 1},
            },
            {"name": "example 2", "params": [{"name": "a", "value": 2}, {"name": "b", "value": 3}]},
        ],
        "x-out": "f",
        "x-idempotent": False,
    }


def test_options_are_told() -> None:
    method = described(lambda: 1, out="o", idempotent=True, deprecated=True, summary="One.")
    assert (method["x-out"], method["x-idempotent"], method["deprecated"], method["summary"]) == (
        "o",
        True,
        True,
        "One.",
    )
    assert "deprecated" not in described(lambda: 1)


def test_a_summary_given_replaces_the_docstrings_first_line_only() -> None:
    def handler() -> None:
        """Said here.

        And more.
        """

    method = described(handler, summary="Said there.")
    assert (method["summary"], method["description"]) == ("Said there.", "And more.")


def test_whole_params_are_one_descriptor_named_params() -> None:
    def handler(params: list[int]) -> None: ...

    method = described(handler, examples=[[1, 2]])
    assert method["x-params"] == "whole"
    assert method["params"] == [
        {"name": "params", "required": True, "schema": {"type": "array", "items": {"type": "integer"}}}
    ]
    assert method["examples"][0]["params"] == [{"name": "params", "value": [1, 2]}]
    assert "x-params" not in described(lambda a: a)


def test_by_keyword_only_means_by_name_and_required_first() -> None:
    def handler(a: int = 1, *, b: int) -> None: ...

    method = described(handler)
    assert method["paramStructure"] == "by-name"
    assert [(parameter["name"], parameter["required"]) for parameter in method["params"]] == [("b", True), ("a", False)]


def test_the_context_is_not_told() -> None:
    def handler(context: Context, a: int) -> None: ...

    assert list(params_of(handler)) == ["a"]


class Color(enum.Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct):
    """A point."""

    x: Annotated[int, msgspec.Meta(description="To the right.", ge=0)]
    color: Color = Color.RED


def test_types_are_components_and_refer_to_each_other() -> None:
    def handler(point: Point, points: list[Point], color: Color = Color.BLUE) -> dict[str, Point]: ...  # type: ignore[empty-body]  # never called

    service = Service("test")
    service.method(name="f")(handler)
    document = discover(service)
    assert set(document["components"]["schemas"]) == {"Point", "Color"}
    point, points, color = document["methods"][0]["params"]
    reference = {"$ref": "#/components/schemas/Point"}
    assert point["schema"] == reference
    assert points["schema"] == {"type": "array", "items": reference}
    assert color["schema"] == {"$ref": "#/components/schemas/Color", "default": "blue"}
    validator = checked_schema(document, points["schema"])
    assert validator.is_valid([{"x": 1, "color": "blue"}])
    assert not validator.is_valid([{"x": -1}])
    assert not validator.is_valid([{"x": 1, "color": "green"}])


def test_two_types_of_one_name_are_two_components() -> None:
    def other() -> Any:
        class Point(msgspec.Struct):
            z: str

        return Point

    def handler(a, b):  # type: ignore[no-untyped-def]  # set below
        return None

    handler.__annotations__.update(a=Point, b=other())
    service = Service("test")
    service.method(name="f")(handler)
    document = discover(service)
    a, b = document["methods"][0]["params"]
    assert a["schema"] != b["schema"]
    assert checked_schema(document, b["schema"]).is_valid({"z": "x"})
    assert not checked_schema(document, a["schema"]).is_valid({"z": "x"})


def test_descriptions_come_from_the_docstring_or_the_annotation() -> None:
    def handler(
        a: Annotated[int, msgspec.Meta(description="Annotated.")],
        b: Annotated[int, msgspec.Meta(description="Hidden.")],
    ) -> None:
        """Do it.

        :param int b: Said.
        """

    params = params_of(handler)
    assert params["a"]["description"] == "Annotated."
    assert params["b"]["description"] == "Said."


def test_a_default_that_json_cannot_say_is_left_out() -> None:
    def handler(a: Any = object(), b: Any = float("nan"), c: Any = None, d: Any = (1, 2)) -> None: ...  # noqa: B008 - odd defaults are what is tested

    params = params_of(handler)
    assert [params[name]["required"] for name in "abcd"] == [False] * 4
    assert "default" not in params["a"]["schema"]
    assert "default" not in params["b"]["schema"]
    assert params["c"]["schema"] == {"default": None}
    assert params["d"]["schema"] == {"default": [1, 2]}


def test_included_methods_are_listed_by_their_full_names() -> None:
    other = Service("other", version="9")
    other.method(name="get")(lambda: 1)
    service = Service("test")
    service.include(other, prefix="user.")
    document = discover(service)
    assert [(method["name"], method["x-out"]) for method in document["methods"]] == [("user.get", "user.get")]
    assert document["info"]["title"] == "test"


@pytest.mark.parametrize(("kind", "sent", "received", "wrong"), KINDS)
def test_every_kind_of_type_is_described_and_its_values_fit(kind: Any, sent: Any, received: Any, wrong: Any) -> None:
    def handler(value):  # type: ignore[no-untyped-def]  # set below
        return value

    handler.__annotations__ = {"value": kind, "return": kind}
    service = Service("test")
    service.method(name="f")(handler)
    document = discover(service)
    schema = document["methods"][0]["params"][0]["schema"]
    assert checked_schema(document, schema).is_valid(sent)
    assert checked_schema(document, document["methods"][0]["result"]["schema"]).is_valid(
        json.loads(msgspec.json.encode(received))
    )


def test_every_example_of_the_demo_is_true() -> None:
    caller = Caller(demo)
    document = discover(demo)
    shown = 0
    for method in document["methods"]:
        for example in method.get("examples", []):
            given = {value["name"]: value["value"] for value in example["params"]}
            schemas = {parameter["name"]: parameter["schema"] for parameter in method["params"]}
            for name, value in given.items():
                checked_schema(document, schemas[name]).validate(value)
            if method["name"] not in {"fail", "sleep"}:
                result = caller.call(method["name"], given["params"] if method.get("x-params") else given)
                checked_schema(document, method["result"]["schema"]).validate(result)
                if "result" in example:
                    assert result == example["result"]["value"]
                    shown += 1
    assert shown > 3


names = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=8).filter(
    # No method may have what error replies are called.
    lambda name: not keyword.iskeyword(name) and name != "error"
)
types = st.sampled_from([int, str, float | None, list[Point], dict[str, Color], Any, Literal["a", "b"], Point, bytes])
texts = st.text(st.characters(exclude_categories=["Cs"]))


class Handler:
    """A handler with the parameters that it was made with."""

    def __init__(self, annotations: dict[str, Any], required: int) -> None:
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=inspect.Parameter.empty if index < required else None,
                )
                for index, name in enumerate(annotations)
            ]
        )

    def __call__(self, *values: Any) -> None: ...


@settings(deadline=None)
@given(st.dictionaries(names, st.dictionaries(names, types, max_size=4), max_size=4), texts, texts, st.integers(0, 4))
def test_any_service_has_a_valid_document(
    methods: dict[str, dict[str, Any]], text: str, title: str, required: int
) -> None:
    service = Service(title, description=text)
    for name, parameters in methods.items():
        kind = type("Kind", (Handler,), {"__doc__": text, "__call__": annotated(parameters)})
        service.method(name=name, summary=title)(kind(parameters, required))
    assert [method["name"] for method in discover(service)["methods"]] == list(methods)


def annotated(parameters: dict[str, Any]) -> Any:
    def call(self: Any, *values: Any) -> None: ...

    call.__annotations__ = dict(parameters)
    return call
