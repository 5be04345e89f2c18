"""A key press, a page of documentation, a template: bounded work and bounded text, whatever a document holds."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import islice

import pytest

from rpcshell.commands.method_page import describe_method, example_call
from rpcshell.line.catalog import Catalog
from rpcshell.line.hint import hint, problems
from rpcshell.line.language import CallLine, parse
from rpcshell.line.suggest import Surroundings, suggest
from rpcshell.prompt.synopsis import method_synopsis
from rpcshell.prompt.templates import call_template
from tests.rpcshell.hostile import DOCUMENTS
from tests.steps import steps

MOST_STEPS = 600_000
"""Lines of Python: hundredths of a second."""

LONGEST = 100_000
LINES = (
    "m ",
    "m {",
    'm {"a": ',
    "m a=",
    'm {"a": {',
    'm {"a": {"p0": {"',
    "m [",
    'm {"a": {"zz": [{}]}, "p9": 1, "q": 2}',
    "m p1=x ",
    "m 1 2 3",
    "m(1, x)",
)


@cache
def catalog_of(name: str) -> Catalog:
    return Catalog.from_openrpc(DOCUMENTS[name]())


@pytest.fixture(params=DOCUMENTS)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return catalog_of(request.param)


@pytest.mark.samples(3)
def test_a_key_press_is_bounded(catalog: Catalog) -> None:
    for text in LINES:
        press_is_bounded(catalog, text)


def press_is_bounded(catalog: Catalog, text: str) -> None:
    line, around = parse(text), Surroundings(catalog)
    assert isinstance(line.body, CallLine)
    call, method = line.body, catalog.methods["m"]
    offered: list[str] = []
    said: list[str] = []

    def press() -> None:
        offered.extend(one.display + one.meta for one in suggest(line, len(text), around))
        said.append(hint(line, len(text), around).text)
        said.extend(problem.message for problem in islice(problems(line, len(text), around), 20))
        for row in method_synopsis(method, call, len(text), 8, 80):
            said.extend(piece for _, piece in row)

    press()  # what is worked out once for a document is no key press's
    offered.clear()
    assert steps(press) < MOST_STEPS, text
    assert len(offered) <= 150, text
    assert sum(map(len, offered + said)) < LONGEST, text


@pytest.mark.samples(3)
def test_a_template_and_an_example_are_bounded(catalog: Catalog) -> None:
    method = catalog.methods["m"]
    call_template(method)
    assert steps(lambda: call_template(method)) < MOST_STEPS
    template = call_template(method)
    assert template is None or (len(template.text) < LONGEST and len(template.fields) <= 41)
    assert steps(lambda: example_call(method)) < MOST_STEPS
    line = parse(example_call(method))
    assert line.blocking is None
    assert len(line.text) < LONGEST


@pytest.mark.samples(3)
def test_documentation_is_bounded_and_safe(catalog: Catalog) -> None:
    text = describe_method(catalog.methods["m"])
    assert len(text) < 3 * LONGEST
    assert not {character for character in text if unicodedata.category(character) in {"Cc", "Cf"}} - {"\n"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("many params", "39,800 more"), ("many properties", "19,800 more"), ("many errors", "99,800 more")],
)
def test_documentation_says_what_is_left_out(name: str, said: str) -> None:
    method = catalog_of(name).methods["m"]
    assert said in describe_method(method)


def test_completion_says_what_is_left_out() -> None:
    text = 'm {"a": {"p'
    found = list(suggest(parse(text), len(text), Surroundings(catalog_of("many properties"))))
    assert "19,900 more" in found[-1].meta
    assert all(one.display.startswith("p") for one in found)


def test_errors_of_a_document_may_be_references() -> None:
    document = {
        "methods": [{"name": "m", "params": [], "errors": [{"$ref": "#/components/errors/NotFound"}]}],
        "components": {"errors": {"NotFound": {"code": 404, "message": "not found"}}},
    }
    assert "  404  not found" in describe_method(Catalog.from_openrpc(document).methods["m"])
