from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpcserver.system.near_names import near_names
from tests.steps import steps

KNOWN = ["ping", "echo", "order.place", "order.get", "user.get", "rpc.discover"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("pnig", ["ping"]),
        ("PING", ["ping"]),
        ("place", ["order.place"]),
        ("get", ["user.get", "order.get"]),
        ("orders.get", ["order.get", "user.get"]),
        ("oder.place", ["order.place"]),
        ("order", ["order.place", "order.get"]),
        ("zzz", []),
        ("", []),
        (".", []),
        ("ping" * 100, []),
    ],
)
def test_near_names_come_best_first(name: str, near: list[str]) -> None:
    assert near_names(name, KNOWN) == near


def test_no_more_than_asked_for() -> None:
    assert len(near_names("get", [f"a{number}.get" for number in range(9)], limit=2)) == 2


def test_among_very_many_names_the_near_ones_are_found() -> None:
    known = [f"space{number % 50}.method{number}" for number in range(10_000)]
    assert near_names("space7.methd57", known)[0] == "space7.method57"


@settings(deadline=None)
@given(st.text(), st.lists(st.text()))
def test_what_is_suggested_is_known(name: str, known: list[str]) -> None:
    assert set(near_names(name, known)) <= set(known)


def long_names(count: int, tail: str) -> list[str]:
    """Names that have everything in common but the order of their letters: the slowest to compare."""
    letters = random.Random(1)
    return ["".join(letters.choices("abcd", k=90)) + tail for _ in range(count)]


@pytest.mark.parametrize("tail", ["", ".get"])
def test_what_a_client_mistypes_costs_no_more_where_names_are_many_and_long(tail: str) -> None:
    *known, mistyped = long_names(501, tail)
    few = steps(lambda: near_names(mistyped, known[:5]))
    assert steps(lambda: near_names(mistyped, known)) < 3 * few
    slip = f"{known[400][:30]}x{known[400][31:]}"
    assert near_names(slip, known)[0] == known[400]
