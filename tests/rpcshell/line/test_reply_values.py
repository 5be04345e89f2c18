from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.reply_values import ReplyValues
from tests.rpcshell.line.language.strategies import json_values

ORDER = {
    "id": 7,
    "customer": "Ada",
    "lines": [{"sku": "TEA-42", "qty": 2}, {"sku": "MUG-1", "qty": 1}],
    "address": {"city": "Delft", "postcode": None},
    "tags": ["new", "gift"],
    "paid": True,
    "token": "s3cret",
    "credentials": {"name": "root"},
}


def known(field: str, *, method: str = "", called: str = "order.place", result: Any = ORDER) -> list[Any]:
    remembered = ReplyValues()
    remembered.remember(called, result)
    return [found.value for found in remembered.values(field, method)]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("customer", ["Ada"]),
        ("Customer_", ["Ada"]),
        ("sku", ["TEA-42", "MUG-1"]),
        ("skus", ["TEA-42", "MUG-1"]),
        ("city", ["Delft"]),
        ("tags", ["new", "gift"]),
        ("tag", ["new", "gift"]),
        ("order_id", [7]),
        ("orderId", [7]),
        ("order_ids", [7]),
        ("postcode", []),
        ("paid", []),
        ("token", []),
        ("name", []),
        ("nothing", []),
    ],
)
def test_fields_are_found_by_name_however_it_is_written(field: str, values: list[Any]) -> None:
    assert known(field) == values


def test_an_id_is_known_by_what_it_belongs_to() -> None:
    users = {"users": [{"id": 1, "address": {"id": 5}}]}
    assert known("user_id", called="list_users", result=users) == [1]
    assert known("address_id", called="list_users", result=users) == [5]
    remembered = ReplyValues()
    remembered.remember("user.get", {"id": 1})
    remembered.remember("order.get", {"id": 2})
    assert [found.value for found in remembered.values("id", "user.delete")] == [1, 2]
    assert [found.value for found in remembered.values("id")] == [2, 1]


def test_the_latest_come_first_each_once_and_say_where_they_are_from() -> None:
    remembered = ReplyValues()
    for number in (1, 2, 1):
        remembered.remember(f"m{number}", [{"n": number}])
    assert remembered.values("n") == [(1, "m1"), (2, "m2")]


def test_only_so_much_is_remembered_and_looked_at() -> None:
    remembered = ReplyValues()
    for number in range(100):
        remembered.remember("m", {"n": number})
    assert [found.value for found in remembered.values("n")] == list(range(99, 79, -1))
    assert known("n", result=[{"n": 1}] * 1_000_000) == [1]
    assert known("text", result={"text": "x" * 101}) == []


def test_numbers_and_texts_that_look_alike_are_kept_apart() -> None:
    remembered = ReplyValues()
    for value in (1, 1.5, "1"):
        remembered.remember("m", {"n": value})
    assert [found.value for found in remembered.values("n")] == ["1", 1.5, 1]


@given(st.text(max_size=20), json_values, st.text(max_size=20))
def test_no_reply_makes_it_raise(method: str, result: Any, field: str) -> None:
    remembered = ReplyValues()
    remembered.remember(method, result)
    remembered.values(field, method)
