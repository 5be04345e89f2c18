import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcshell.line.method_index import MENU, MethodIndex
from tests.steps import steps

INDEX = MethodIndex(["order.create", "Order.list", "user.orders", "reorder", "ping", "o_x_r", "math.add"])

names = st.lists(st.text("abAB._\n\\[", max_size=6), unique=True, max_size=12)


def test_prefixes_come_first_then_segments_then_abbreviated_then_parts_then_letters_in_order() -> None:
    assert INDEX.search("or", 10) == ["order.create", "Order.list", "user.orders", "o_x_r", "reorder"]
    assert INDEX.search("rer", 10)[0] == "reorder"


@pytest.mark.parametrize(
    ("typed", "name"),
    [("oc", "order.create"), ("o.cr", "order.create"), ("gua", "getUserAddress"), ("useradd", "getUserAddress")],
)
def test_the_beginnings_of_the_parts_of_a_name_find_it_first(typed: str, name: str) -> None:
    others = ["color.clock", "augur.add", "reorder.cream", "user.sadden"]
    assert MethodIndex([*others, "order.create", "getUserAddress"]).search(typed, 10)[0] == name


def test_nothing_typed_finds_everything_in_order_up_to_the_limit_and_the_last() -> None:
    assert INDEX.search("", 3) == ["math.add", "o_x_r", "user.orders"]
    assert len(INDEX.search("", 100)) == 7


def test_a_dotted_part_is_found() -> None:
    assert INDEX.search("add", 10) == ["math.add"]
    assert INDEX.search("order.c", 10) == ["order.create"]


def test_near_names_are_found_for_a_slip() -> None:
    for typed in ("ordr.create", "order.craete", "orde.create", "xrder.create", "order.creat"):
        assert INDEX.near(typed)[0] == "order.create"
    assert INDEX.near("pnig") == ["ping"]
    assert INDEX.near("zzz") == []
    assert INDEX.near("") == []


@given(names, st.text("abAB._\n\\[", max_size=4), st.integers(0, 8))
def test_what_is_found_holds_the_letters_and_respects_the_limit(known: list[str], typed: str, limit: int) -> None:
    index = MethodIndex(known)
    found = index.search(typed, limit)
    assert len(found) <= limit
    assert len(set(found)) == len(found)
    for name in found:
        letters = iter(name.lower())
        assert all(letter in letters for letter in typed.lower())


@given(names, st.text("abAB._", min_size=1, max_size=4))
def test_every_name_that_begins_with_the_text_comes_before_all_others(known: list[str], typed: str) -> None:
    found = MethodIndex(known).search(typed, 100)
    leading = [name.lower().startswith(typed.lower()) for name in found]
    assert leading == sorted(leading, reverse=True)
    assert sum(leading) == sum(name.lower().startswith(typed.lower()) for name in known)


@given(names, st.text(max_size=8))
def test_near_names_are_known_names(known: list[str], typed: str) -> None:
    assert set(MethodIndex(known).near(typed)) <= set(known)


@given(names, st.text("abAB._", max_size=4), st.integers(0, 8), st.integers(0, 8))
@example(known=["", "A", "B"], typed="", limit=2, other=4)
def test_a_search_finds_the_same_whatever_was_searched_before(
    known: list[str], typed: str, limit: int, other: int
) -> None:
    index = MethodIndex(known)
    index.search(typed, other)
    assert index.search(typed, limit) == MethodIndex(known).search(typed, limit)


@pytest.mark.parametrize(("typed", "near"), [("zoa.set", "zoo.set"), ("urgt", "user0.get")])
def test_near_names_cost_little_once_a_menu_has_been_searched(typed: str, near: str) -> None:
    many = MethodIndex([*(f"user{number}.get" for number in range(5_000)), "zoo.set"])
    menu = steps(lambda: many.search(typed, MENU))
    assert steps(lambda: many.near(typed)) < menu / 4
    assert many.near(typed)[0] == near
