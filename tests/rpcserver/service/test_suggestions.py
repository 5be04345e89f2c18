from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpcserver.service.source import near_names

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
