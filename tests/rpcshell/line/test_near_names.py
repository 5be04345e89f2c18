"""Near names in the shell: a server chooses what there is to compare, and may not choose how long that takes."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from rpcshell.line.near_names import near_names
from tests.steps import steps


def test_the_nearest_comes_first() -> None:
    assert near_names("prcie", ["amount", "prices", "price"], 2) == ["price", "prices"]
    assert near_names("zzz", ["amount"]) == []


def test_many_and_long_names_cost_no_more_than_a_few() -> None:
    letters = random.Random(1)
    *known, mistyped = ("".join(letters.choices("abcd", k=90)) for _ in range(20_001))
    few = steps(lambda: near_names(mistyped, known[:5]))
    assert steps(lambda: near_names(mistyped, known[:500])) < 3 * few
    assert steps(lambda: near_names(mistyped, known)) < 3 * few
    slip = f"{known[400][:30]}x{known[400][31:]}"
    assert near_names(slip, known) == [known[400]]


def test_names_without_end_are_not_compared() -> None:
    few = steps(lambda: near_names("a" * 20, ["ab" * 10] * 5))
    assert steps(lambda: near_names("a" * 20, ["ab" * 100_000] * 5)) < few
    assert near_names("a" * 100_000, ["ab" * 50_000]) == []


@settings(deadline=None)
@given(st.text(), st.lists(st.text()))
def test_what_is_suggested_is_known(name: str, known: list[str]) -> None:
    assert set(near_names(name, known, 3)) <= set(known)
