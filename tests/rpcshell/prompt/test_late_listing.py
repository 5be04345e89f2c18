"""Listing choices in a thread, with listings that take as long as a test wants."""

import threading
from collections.abc import Iterator

from rpcshell.line.suggest import PathChoice
from rpcshell.prompt.completer import LateListing

DEADLINE = 10.0


def choice(text: str) -> PathChoice:
    return PathChoice(text, text, "file")


def test_a_quick_listing_is_there_at_once() -> None:
    late = threading.Event()
    listing = LateListing[str, PathChoice](lambda typed: [choice(f"{typed}1")], late.set, patience=DEADLINE)
    assert listing("a") == (choice("a1"),)
    assert listing("b") == (choice("b1"),)
    assert not late.is_set()


def test_a_slow_listing_is_not_waited_for_and_tells_when_it_is_there() -> None:
    disk, late = threading.Event(), threading.Event()
    asked: list[str] = []

    def slow(typed: str) -> Iterator[PathChoice]:
        asked.append(typed)
        assert disk.wait(DEADLINE)
        yield choice(typed)

    listing = LateListing(slow, late.set, patience=0.001)
    assert listing("a") == ()
    # What is typed meanwhile does not start another one.
    assert listing("ab") == ()
    assert listing("abc") == ()
    disk.set()
    assert late.wait(DEADLINE)
    assert listing("abc") == (choice("abc"),)
    assert asked == ["a", "abc"]
