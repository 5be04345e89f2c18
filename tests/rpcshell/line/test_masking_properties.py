"""No form and no place of a secret lets it reach the history's file, and looking for it takes bounded work."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.language import CallLine, parse
from rpcshell.line.masking import (
    MASKED,
    Known,
    blot_line,
    mask_line,
    mask_message,
    mask_text,
    mask_value,
)
from tests.steps import steps

SECRET = "hunter2hunter2"  # noqa: S105
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
def test_a_secret_at_any_depth_never_reaches_the_file(value: object, key: str) -> None:
    params = {key: [value, {"password": SECRET, "after": value}], "token": {key: SECRET}}
    stored = mask_line(f"login {json.dumps(params)}")
    assert SECRET not in stored
    body = parse(stored).body
    assert isinstance(body, CallLine)
    assert not body.problems


@given(st.text(alphabet="ab{}[]<>,:= \"'\\\n", max_size=30))
def test_a_secret_in_a_broken_line_never_reaches_the_file(tail: str) -> None:
    assert SECRET not in mask_line(f'login {{"password": {SECRET} {tail}')
    assert SECRET not in mask_line(f"login password={SECRET} {tail}")
    assert SECRET not in mask_line(f"login password {tail} {SECRET}")


@given(VALUES)
def test_values_lose_their_secrets_and_nothing_else(value: object) -> None:
    whole = {"a": [value, {"password": SECRET, "x": [value]}], "Token": {"deep": value}, "secret": None, "pwd": True}
    before = json.dumps(whole)
    masked = mask_value(whole)
    assert {masked["a"][1]["password"], masked["Token"]} == {MASKED}
    assert (masked["secret"], masked["pwd"]) == (None, True)
    assert json.dumps(whole) == before
    assert mask_value({"x": 1, "y": [{}]}) == {"x": 1, "y": [{}]}


def test_values_may_be_nested_deeper_than_python_can_call() -> None:
    value: object = {"password": SECRET}
    for _ in range(20_000):
        value = [value]
    masked = mask_value(value)
    while isinstance(masked, list):
        masked = masked[0]
    assert masked == {"password": MASKED}


def test_a_text_about_a_call_loses_the_secrets_of_that_call() -> None:
    params = {"user": "bob", "password": "hunter2", "auth": {"token": 123456, "pwd": "a"}}
    assert mask_text("bob: 'hunter2' is not as good as 123456", params) == "bob: '***' is not as good as ***"
    assert mask_text("nothing", None) == "nothing"


@given(st.text(alphabet="ab{}[]<>,:= \"'\\\n", max_size=30))
def test_a_blotted_line_keeps_its_columns(tail: str) -> None:
    line = f'login {{"password": {SECRET} {tail}'
    blotted = blot_line(line)
    assert len(blotted) == len(line)
    assert SECRET not in blotted
    assert [n for n, character in enumerate(line) if character == "\n"] == [
        n for n, character in enumerate(blotted) if character == "\n"
    ]


def test_what_is_said_about_a_line_does_not_repeat_its_secrets() -> None:
    line = 'login {"user": bobby, "password": hunter2}'
    assert mask_message('hunter2 is not a value; quote a text: "hunter2"', line).count("hunter2") == 0
    assert mask_message("bobby is not a value", line) == "bobby is not a value"


KEYS = st.builds(
    lambda before, word, after, change: change(f"{before}{word}{after}"),
    st.sampled_from(["", "user_", "x-", "Db.", "my "]),
    st.sampled_from(
        [
            "password",
            "pass",
            "pw",
            "jwt",
            "otp",
            "auth",
            "session",
            "token",
            "api_key",
            "secret",
            "cookie",
            "pin",
            "cvv",
        ]
    ),
    st.sampled_from(["", "s", "2"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
"""Names of secrets; with spaces too, as keys of JSON may have them."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(lambda text: f"{SECRET}{text}{SECRET}")
IN_URLS = st.text("abz09.~!$&*+,;=%_-", max_size=6).map(lambda text: f"{SECRET}{text}{SECRET}")


def nested(value: object, depth: int) -> object:
    """A value inside texts of JSON, some levels deep."""
    for _ in range(depth):
        value = {"n": 1, "body": json.dumps(value)}
    return value


VALUES_WITH_SECRETS = st.one_of(
    st.builds(lambda key, text: {key: text}, KEYS, TEXTS),
    st.builds(lambda key, text: {key: [text, {"a": text}]}, KEYS, TEXTS),
    st.builds(lambda text, user: f"postgres://{user}:{text}@host/db?x=1", IN_URLS, st.sampled_from(["", "bob"])),
    IN_URLS.map(lambda text: f"https://host/a?n=1&token={text.replace('&', '')}&m=2#f"),
    TEXTS.map(lambda text: f"Authorization: Bearer {SECRET} {SECRET}\nDate: now"),
)


@given(VALUES_WITH_SECRETS, st.integers(0, 3), VALUES)
def test_no_form_of_a_secret_reaches_the_file(value: object, depth: int, other: object) -> None:
    written = json.dumps(nested(value, depth))
    ascii_free = json.dumps(nested(value, depth), ensure_ascii=False)
    for line in (
        f"call {written}",
        f'call {{"other": {json.dumps(other)}, "x": [{ascii_free}]}}',
        f"call other={json.dumps(other)} x={ascii_free}",
        f"x = {written}",
        f":watch 2 call {written}",
        f'call {{"x": {ascii_free}, "broken": ',
        f"call {written} | jq .",
    ):
        stored = mask_line(line)
        assert SECRET not in stored
        assert mask_line(stored) == stored


@given(KEYS, TEXTS, st.booleans())
def test_no_secret_by_its_place_reaches_the_file(key: str, text: str, closed: bool) -> None:
    known = Known(lambda _method: ("user", key, "note"))
    line = f'call ["bob", {json.dumps(text)}{", 1]" if closed else ""}'
    assert SECRET not in mask_line(line, known)


@pytest.mark.samples(5)
@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a:",
        "//a:",
        "eyJ-",
        "pw ",
        'pw\\\\"',
        "token=",
        "?token=a&",
        '{"pw":',
        "[",
        " ",
        "//a@",
        "bearer ",
        "-",
        "'",
        "pw='",
        "a.b-",
        "<pw>",
        "<pw ",
        "<pw>a",
        "mysql -pa ",
        "-pa ",
        "docker ",
        "machine ",
        "machine a login ",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_text_that_a_server_sends_costs_steps_in_proportion_to_it(piece: str) -> None:
    def cost(size: int) -> int:
        return steps(lambda: mask_value({"x": (piece * size)[:size] + "pw"}))

    assert cost(8000) < 3 * cost(4000)


@pytest.mark.thorough
def test_much_text_that_may_hold_secrets_is_not_read_to_its_end() -> None:
    masked = mask_value([json.dumps({"pw": SECRET, "n": 1})] * 5000)
    assert set(masked) == {MASKED, '{"pw": "***", "n": 1}'}
