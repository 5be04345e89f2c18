"""Long lines, each of which once cost, or could cost, more than time in proportion to its length."""

import time

import pytest

from rpcshell.line.language import parse

MEGABYTE = 1_000_000

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


@pytest.mark.parametrize("piece", _HUGE.values(), ids=_HUGE)
@pytest.mark.parametrize("lead", ["p ", "p [", "p {", 'p "', "p | ", ":c "])
def test_time_grows_with_the_length_and_not_with_its_square(lead: str, piece: str) -> None:
    def seconds(length: int) -> float:
        text = lead + piece * (length // len(piece))
        started = time.process_time()
        parse(text)
        return time.process_time() - started

    # Ten times the text may cost a hundred times as much only if the time is quadratic; a busy machine stays below.
    small = max(seconds(MEGABYTE // 40), 0.002)
    assert seconds(MEGABYTE // 4) < 60 * small
