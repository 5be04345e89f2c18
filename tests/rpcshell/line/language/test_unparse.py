import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.language import CallLine, call_params, key_text, method_text, parse, quote, unparse
from rpcwire import EncodeError
from tests.rpcshell.line.language.strategies import strings


def test_plain_calls_are_written_plainly() -> None:
    assert unparse("order.create", {"a": [1, None, "é"]}) == 'order.create {"a": [1, null, "é"]}'
    assert unparse("ping", None) == "ping null"


@pytest.mark.parametrize("name", ["", ":help", "#x", "$x", "a b", 'a"b', "a[0]", "a<b>", "1", "\x1b[31m", "\u202ex"])
def test_names_that_would_be_read_otherwise_are_quoted(name: str) -> None:
    assert method_text(name)[0] == '"'


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("\x1b", "\\u001b"), ("\x9b", "\\u009b"), ("\u202e", "\\u202e"), ("\U000e0001", "\\udb40\\udc01")],
)
def test_what_could_act_on_a_terminal_is_escaped(text: str, escaped: str) -> None:
    assert unparse("m", text) == f'm "{escaped}"'


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(EncodeError, match="NaN and Infinity are not JSON"):
        unparse("m", float("nan"))


@given(strings, st.sampled_from(["'", '"']))
def test_a_quoted_text_is_read_back(text: str, mark: str) -> None:
    body = parse(f"m {quote(text, mark)}").body
    assert isinstance(body, CallLine)
    assert call_params(body, None) == text


@given(strings)
def test_a_key_is_read_back(name: str) -> None:
    body = parse(f"m {key_text(name)}=1").body
    assert isinstance(body, CallLine)
    assert call_params(body, None) == {name: 1}


@pytest.mark.parametrize(
    "name",
    ["$/cancelRequest", "org.varlink.service.GetInfo", "tools/call", "system.listMethods", "block-commit", "Foo::bar"],
)
def test_methods_of_other_protocols_need_no_quotes(name: str) -> None:
    assert method_text(name) == name
    for line in (name, f'{name} <"a":1>', f"{name} a=1", f"x = {name} [1]"):
        body = parse(line).body
        assert isinstance(body, CallLine)
        assert (body.method, parse(line).blocking) == (name, None)
