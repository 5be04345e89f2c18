import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.language import CallLine, parse
from rpcshell.line.masking import MASKED, blot_line, is_secret, mask_line, mask_message, mask_text, mask_value


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ('login {"user": "bob", "password": "hunter2"}', 'login {"user": "bob", "password": "***"}'),
        ('login <"password":"hunter2">', 'login <"password":"***">'),
        ("login user=bob password=hunter2 x=1", 'login user=bob password="***" x=1'),
        ("login password='hunter 2'", 'login password="***"'),
        ("login password=1234", 'login password="***"'),
        ("login {password: 'x', Token: [1, 2], n: 1}", 'login {password: "***", Token: "***", n: 1}'),
        ('a {"x": [{"api_key": "k"}, {"Api-Key": "l"}]}', 'a {"x": [{"api_key": "***"}, {"Api-Key": "***"}]}'),
        ('a {"secret": {"password": "x"}}', 'a {"secret": "***"}'),
        ('a {\n  "token": "x",\n  "b": 2\n}', 'a {\n  "token": "***",\n  "b": 2\n}'),
        ('a {"headers": {"Authorization": "Bearer x"}}', 'a {"headers": {"Authorization": "***"}}'),
        ('a {"password": "x", oops "y"}', 'a {"password": "***"'),
        ('a {"password": "x y', 'a {"password": "***"'),
        ("a {password: hunter2 and more}", 'a {password: "***"'),
        ("login password = hunter2", 'login password"***"'),
        ('login {"password" "hunter2"}', 'login {"password" "***"'),
        ('login {"password": , "hunter2"}', 'login {"password": "***"'),
        ('login {"password" = hunter2}', 'login {"password" = "***"'),
        ('a {"password": ', 'a {"password": '),
        ('a {"max_tokens": 100, "name": "password"}', 'a {"max_tokens": 100, "name": "password"}'),
        (":spawn 10 --model thread", ":spawn 10 --model thread"),
        ("password", "password"),
        ("login password=$pw user=$_.name", "login password=$pw user=$_.name"),
        ('login {"password": null, "token": false}', 'login {"password": null, "token": false}'),
        ('login password=$"a ${b}"', 'login password="***"'),
        ("t = login password=a | jq .token > x", 't = login password="***" | jq .token > x'),
        ('api_key = "abcd"', 'api_key = "***"'),
        ('x = {"token": "abcd"}', 'x = {"token": "***"}'),
        ("api_key = $x.token", "api_key = $x.token"),
        ("ping | curl -H 'Authorization: Bearer abcd' host", "ping | curl -H 'Authorization: \"***\"' host"),
        ("ping | mysql --password=abcd -u x", 'ping | mysql --password="***" -u x'),
        ("ping | mysql --password abcd -u x", 'ping | mysql --password "***" -u x'),
        ("ping | grep password | wc -l", "ping | grep password | wc -l"),
        (":watch 2 login user=bob password=abcd", ':watch 2 login user=bob password="***"'),
        (':watch 2 login {"password": "abcd"}', ':watch 2 login {"password": "***"}'),
        (":alias in = login password=abcd", ':alias in = login password="***"'),
        (":connect x --token abcd", ':connect x --token "***"'),
        (":help\nlogin password=abcd\nping 1", ':help\nlogin password="***"\nping 1'),
    ],
)
def test_secrets_in_a_line_are_masked(line: str, stored: str) -> None:
    assert mask_line(line) == stored
    assert mask_line(stored) == stored


@pytest.mark.parametrize("key", ["password", "PASSWORD", "dbPassword", "access_token", "api-key", "X-Api-Key"])
def test_secret_keys(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["name", "max_tokens", "key", "keyboard", "tokenizer", ""])
def test_other_keys(key: str) -> None:
    assert not is_secret(key)


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
