"""URI templates of MCP's resources, and the headers that carry names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.dialects.mcp.calls import header_places, header_value
from rpcshell.client.dialects.mcp.uri_template import expand, variables


@pytest.mark.parametrize(
    ("template", "values", "uri"),
    [
        ("note://{name}", {"name": "a/b c"}, "note://a%2Fb%20c"),
        ("file:///{+path}", {"path": "a/b c"}, "file:///a/b%20c"),
        ("x:{a,b}{?q,r*}{&s}", {"a": 1, "b": True, "q": "é", "r": [1, 2]}, "x:1,true?q=%C3%A9&r=1&r=2"),
        ("x{/a*}{.e}{#f}{;g,h}", {"a": ["b", "c"], "e": "txt", "f": "top", "g": "", "h": 2}, "x/b/c.txt#top;g;h=2"),
        ("x:{a:3}", {"a": "abcdef"}, "x:abc"),
        ("x:{", {}, "x:{"),
    ],
)
def test_templates_are_expanded_as_the_rfc_has_it(template: str, values: dict[str, Any], uri: str) -> None:
    assert expand(template, values) == uri


def test_what_a_template_needs_is_told() -> None:
    assert variables("x:{a}/{+b}{?c,a}{#d}") == {"a": True, "b": True, "c": False, "d": False}


@given(st.text(), st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.lists(st.text())))
def test_any_template_has_an_expansion(template: str, values: dict[str, Any]) -> None:
    variables(template)
    expand(template, values)


def test_headers_carry_any_value() -> None:
    assert header_value("us-west1") == "us-west1"
    assert header_value(" padded ") == "=?base64?IHBhZGRlZCA=?="
    assert header_value("=?base64?literal?=") == "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="
    assert header_value("line1\nline2") == "=?base64?bGluZTEKbGluZTI=?="
    assert [header_value(value) for value in (True, -7)] == ["true", "-7"]
    region = {"type": "string", "x-mcp-header": "Region"}
    tool = {"inputSchema": {"properties": {"a": {"properties": {"region": region}}}}}
    assert header_places(tool) == {"Mcp-Param-Region": ("a", "region")}
    region["x-mcp-header"] = "Region\r\nEvil: 1"
    assert header_places(tool) == {}
