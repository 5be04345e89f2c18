"""Values that the server tells, as suggestions."""

from msgspec.structs import replace

from rpcshell.line.catalog import Catalog
from rpcshell.line.suggest import ValueQuestion
from tests.rpcshell.line.test_suggest import AROUND, suggestions


def test_values_that_the_server_tells_are_offered_for_the_parameters_that_it_tells_them_of() -> None:
    asked: list[ValueQuestion] = []

    def tell(question: ValueQuestion) -> tuple[str, ...]:
        asked.append(question)
        return ("Ada", "Alan Turing", "Grace")

    who = {"name": "who", "schema": {"type": "string"}, "x-completes": True}
    method = {"name": "prompt:greet", "params": [who, {"name": "how", "schema": {"type": "string"}}]}
    catalog = Catalog.from_openrpc({"methods": [method]})
    around = replace(AROUND, server_values=tell)

    def offered(marked: str) -> list[str]:
        return [found.text for found in suggestions(marked, catalog, around)]

    assert offered("prompt:greet how=hi who=A|") == ["Ada", '"Alan Turing"']
    assert offered('prompt:greet {"who": "G|", "how": null}') == ['"Grace"']
    assert offered("prompt:greet how=|") == []
    assert asked == [
        ValueQuestion("prompt:greet", "who", "A", (("how", "hi"),)),
        ValueQuestion("prompt:greet", "who", "G", (("how", None),)),
    ]


def test_what_the_server_tells_is_offered_as_what_the_parameter_takes() -> None:
    params = [{"name": name, "schema": {"type": name}, "x-completes": True} for name in ("integer", "string")]
    catalog = Catalog.from_openrpc({"methods": [{"name": "pause", "params": params}]})
    around = replace(AROUND, server_values=lambda question: ("1", "12"))

    def offered(marked: str) -> list[str]:
        return [found.text for found in suggestions(marked, catalog, around) if found.kind == "value"]

    assert offered("pause integer=|") == ["1", "12"]
    assert offered("pause string=1|") == ["'1'", "'12'"]
