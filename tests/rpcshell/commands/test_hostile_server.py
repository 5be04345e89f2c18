"""Replies and documents of a server that says anything: the shell's own errors at most, and nothing raw on a screen."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.plain_text import PlainTextOutput

from rpcshell.app.options import load_commands
from rpcshell.app.script_output import ScriptOutput
from rpcshell.client.errors import ShellError
from rpcshell.line.catalog import Catalog, CatalogError
from rpcshell.line.hint import hint, problems
from rpcshell.line.language import CallLine, parse
from rpcshell.line.suggest import Surroundings, suggest
from rpcshell.prompt.screen import Screen
from rpcshell.prompt.synopsis import method_synopsis
from rpcshell.prompt.templates import call_template
from rpcshell.shell.output import Output
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.settings import Settings
from tests.rpcshell.hostile import DEEP, DOCUMENTS, EVIL, HUGE, nested
from tests.rpcshell.peers import Peer, serving

FORBIDDEN = frozenset("\x1b\x07\x9b\x7f\u202e\x00")
META = {"worker": 2**63 - 1, "pid": 2**63 - 1, "generation": 0, "model": EVIL, "service_us": 10**9, "served": 1}
RESULTS: dict[str, Any] = {
    "evil": {EVIL: [EVIL, {EVIL: EVIL}]},
    "text": f"{EVIL}\n{EVIL}\0",
    "deep": nested(DEEP // 2),
    "deep_object": {"a": json.loads('{"a":' * 400 + "1" + "}" * 400), "b": nested(400)},
    "numbers": {"pid": HUGE, "time": -HUGE, "elapsed": 1e308},
    "rows": [{EVIL: EVIL, "n": HUGE}, {"x": nested(300)}, {}],
    "mixed": [1, "a", None, {"a": 1}, [1], [[1]]],
    "wide": [{f"c{at}": at for at in range(500)}] * 2,
    "empty_names": {"": {"": ""}},
}
ERRORS: dict[str, Any] = {
    "error": {"code": 5, "message": EVIL, "data": {"path": EVIL, "suggestions": [EVIL, 5], "traceback": EVIL, EVIL: 1}},
    "error_suggestions": {"code": -32601, "message": "x", "data": {"suggestions": nested(400), "path": [5]}},
    "error_deep": {"code": -32603, "message": "x", "data": nested(DEEP // 2)},
    "error_number": {"code": HUGE, "message": EVIL},
    "error_text": EVIL,
    "error_shape": nested(400),
}
RAW: dict[str, bytes] = {
    "raw_null": b"null",
    "raw_meta": b'{"out":"a","meta":{"worker":"x"}}',
    "raw_number": b'{"out":"a","result":1e999}',
    "raw_name": json.dumps({"out": EVIL * 1000, "result": 1, "meta": META}).encode(),
    "raw_text": EVIL.encode("latin-1", "replace"),
}
NAMES = (*RESULTS, *ERRORS, *RAW)
LINES = (
    "{}", "$_", "x = {}", "$x.a", "echo $x", ":export python -n 2", ":export pytest -n 2",
    ":export pytest -n 2 --exact", ":export shell -n 2", ":why", ":wire last", ":wire last --full", ":history",
    ":stats", ":watch -n 2 0.05 {}",
    ":doc {}", ":methods", ":set format table", "{}", "$x", ":set format json", "{}", ":set format auto",
)  # fmt: skip
"""What is done with each method, in this order."""


def answer(peer: Peer) -> None:
    described = DOCUMENTS["escape sequences"]()
    described["methods"] = [{**described["methods"][0], "name": name, "x-idempotent": True} for name in (*NAMES, EVIL)]
    while (request := peer.read()) is not None:
        meta = {"meta": META} if request.get("meta") else {}
        match request["in"]:
            case "rpc.discover":
                peer.send({"out": EVIL, "result": described})
            case name if name in RESULTS:
                peer.send({"out": EVIL, "result": RESULTS[name], **meta})
            case name if name in ERRORS:
                peer.send({"out": "error", "result": ERRORS[name], **meta})
            case name if name in RAW:
                peer.send_body(RAW[name])
            case _:
                peer.send({"out": "echo", "result": request.get("params")})


def script(stream: io.StringIO, settings: Settings) -> Output:
    class Stdout(io.RawIOBase):
        def write(self, data: Any) -> int:
            return stream.write(bytes(data).decode())

    return ScriptOutput(Stdout(), stream, settings)  # type: ignore[arg-type]


def screen(stream: io.StringIO, settings: Settings) -> Output:
    settings.set("pager", "off")
    return Screen(PlainTextOutput(stream), ColorDepth.DEPTH_1_BIT, settings=settings)


@contextmanager
def shell_at(make: Callable[[io.StringIO, Settings], Output], stream: io.StringIO) -> Iterator[Shell]:
    chosen = Settings(script=make is script)
    session = Session(chosen, background=False)
    with serving(answer) as server:
        session.connect(server.target)
        try:
            yield Shell(session, make(stream, chosen), load_commands, settings=chosen, interactive=make is screen)
        finally:
            session.close()


@pytest.mark.thorough
@pytest.mark.parametrize("make", [script, screen])
def test_nothing_that_a_server_answers_ends_a_command_or_is_shown_raw(
    make: Callable[[io.StringIO, Settings], Output], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream = io.StringIO()
    with shell_at(make, stream) as shell:
        for name in NAMES:
            for line in LINES:
                try:
                    shell.execute(line.format(name))
                except ShellError as error:
                    shell.output.error(error)
                assert not FORBIDDEN & set(stream.getvalue()), (name, line)
                stream.seek(0)
                stream.truncate()


floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | st.text(max_size=5) | st.just(EVIL),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
keywords = st.sampled_from(
    [
        *(
            "type",
            "enum",
            "const",
            "anyOf",
            "oneOf",
            "allOf",
            "properties",
            "required",
            "items",
            "prefixItems",
            "default",
        ),
        *("$ref", "minimum", "examples", "propertyNames", "description", "format", "pattern", "not", "maxLength"),
        *("additionalProperties", "exclusiveMinimum"),
    ]
)
references = st.sampled_from(["#/components/schemas/A", "#/components/schemas/B", "#/", EVIL])
types = st.sampled_from(["object", "array", "string", "integer", "null", EVIL])
schemas = st.recursive(
    values | st.fixed_dictionaries({"$ref": references}) | st.fixed_dictionaries({"type": types}),
    lambda inner: st.dictionaries(
        keywords, inner | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", EVIL]), inner)
    ),
    max_leaves=12,
)
methods = st.dictionaries(
    st.sampled_from(
        [
            *("params", "summary", "description", "result", "errors", "examples", "tags"),
            *("x-out", "x-params", "deprecated"),
        ]
    ),
    values
    | st.lists(values, max_size=2)
    | st.lists(st.fixed_dictionaries({"name": st.text(max_size=3), "schema": schemas}, optional={"required": values})),
)
typed = st.sampled_from(
    ["m ", "m {", 'm {"a": ', 'm {"a": {"b": [1, ', "m a=", "m [", 'm {"a": {"b": 1}, "c": [{}]}', "m 1"]
)


@given(methods, schemas, schemas, typed)
def test_no_document_is_too_odd_for_a_key_press_or_a_page(
    method: dict[str, Any], one: object, other: object, text: str
) -> None:
    document = {"methods": [{**method, "name": "m"}], "components": {"schemas": {"A": one, "B": other}}}
    known = Catalog.from_openrpc(document)
    found = known.methods["m"]
    line, around = parse(text), Surroundings(known)
    assert isinstance(line.body, CallLine)
    list(suggest(line, len(text), around))
    hint(line, len(text), around)
    list(problems(line, len(text), around))
    call_template(found)
    shown = [describe(found)]
    for row in method_synopsis(found, line.body, len(text), 8, 80):
        shown += [piece for _, piece in row]
    assert not (FORBIDDEN | {"\t"}) & set("".join(shown))


def describe(method: Any) -> str:
    from rpcshell.commands.method_page import describe_method

    return describe_method(method)


@given(values | st.dictionaries(st.sampled_from(["methods", "info", "components"]), values))
def test_what_is_no_document_is_told(document: object) -> None:
    if isinstance(document, dict) and isinstance(document.get("methods"), list):
        Catalog.from_openrpc(document)
    else:
        with pytest.raises(CatalogError):
            Catalog.from_openrpc(document)
