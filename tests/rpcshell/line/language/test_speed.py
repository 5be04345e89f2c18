"""Long lines, each of which once cost, or could cost, more than time in proportion to its length."""

import pytest

from rpcshell.line.language import parse
from tests.steps import steps

LONG = 50_000

_HUGE = {
    "items": "1,",
    "members": '"a": {"b": 1}, ',
    "openers": "[",
    "closers": "]",
    "quotes": '"',
    "backslashes": '"\\',
    "bad escapes": "\\q",
    "hashes": "#",
    "equals": "a=",
    "pairs": "abc=1 ",
    "digits": "9",
    "commas": ",",
    "words": "abc ",
    "variables": "$a[0].b ",
    "steps": "$a[",
    "templates": '$"${a',
    "bars": "| ",
}


@pytest.mark.samples(12)
@pytest.mark.timeout(15)
@pytest.mark.parametrize("piece", _HUGE.values(), ids=_HUGE)
@pytest.mark.parametrize("lead", ["p ", "p [", "p {", 'p "', "p | ", ":c "])
def test_time_grows_with_the_length_and_not_with_its_square(lead: str, piece: str) -> None:
    def text(length: int) -> str:
        return lead + piece * (length // len(piece))

    assert steps(lambda: parse(text(3_000))) < 15 * steps(lambda: parse(text(300)))
    # What a regular expression does is no step of Python's; a square of this length takes longer than may be.
    parse(text(LONG))
