"""What a person sees who asks why a call hung, looks at its bytes, and makes mistakes on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shells import hang, leave, spawn
from tests.e2e.terminal import CTRL_C, ENTER, Terminal


@pytest.fixture
def tall(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path, rows=45) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        yield terminal


def test_why_explains_a_call_that_was_cancelled(tall: Terminal) -> None:
    hang(tall)
    tall.send(CTRL_C)
    tall.wait_for(r"^:why tells what held it up$")
    tall.send(f":why{ENTER}")
    tall.wait_for(r"^now .*\n(?:.*\n)*?\S+:\d+> $")
    screen = tall.text
    assert re.search(r"^call 1 · hang · cancelled after \d", screen, re.MULTILINE), screen
    why = re.search(r"^why +(.+\n(?: .+\n)*)do", screen, re.MULTILINE)
    assert why, screen
    cause = " ".join(why[1].split())
    found = re.match(r"the handler of hang itself takes the time: worker (\d) \(pid (\d+)\) had been in it for", cause)
    assert found, screen
    # It is cancelled so early that sending may have taken as long as waiting.
    assert re.search(r"^(?:time)? +(?:waiting|send) +[\d.]+ m?s +█+$", screen, re.MULTILINE), screen
    assert re.search(rf"^worker +{found[1]} \(pid {found[2]}\) in hang for", screen, re.MULTILINE), screen
    assert re.search(r"^reply +not a byte$", screen, re.MULTILINE), screen
    assert tall.style_at(cause[:20]).fg != tall.style_at("reply").fg
    tall.send(f":stats{ENTER}")
    row = tall.wait_for(r"^hang +(\d+) +(\d+%) +(\d+) +(\d+)")
    assert row.groups() == ("1", "100%", "0", "1")
    tall.send(f":drill kill {found[1]}{ENTER}")
    tall.wait_for(r"KILL")
    assert leave(tall) == 0


@pytest.mark.thorough
def test_wire_shows_the_bytes_and_what_the_server_does_with_wrong_ones(tall: Terminal) -> None:
    spawn(tall, "1")
    tall.send(f':wire on{ENTER}ping <"a": 1, "token": "geheim99">{ENTER}')
    tall.wait_for(r"worker 1 · pid \d+\n\S+> $")
    screen = tall.text
    row = r"^→ +[\d.]+ ms  request: (\d+) bytes\n  ((?:[0-9a-f]{2} ){4}) +length (\d+) = "
    request = re.search(row, screen, re.MULTILINE)
    assert request, screen
    assert int.from_bytes(bytes.fromhex(request[2]), "little") == int(request[3]) == int(request[1]) - 4
    assert re.search(r"^← +[\d.]+ ms  reply: \d+ bytes in 1 read$", screen, re.MULTILINE), screen
    assert '"token":"***"' in screen
    assert screen.count("geheim99") == 2, "in the line that was typed, and in the result"
    tall.send(f":wire off{ENTER}\x0c:wire send oversized{ENTER}")
    tall.wait_for(r"^error -32003, and the connection was closed: as it should be")
    assert re.search(r"^  ff ff ff 7f 7b +\.\.\.\.\{$", tall.text, re.MULTILINE), tall.text
    assert re.search(r"^✗ +[\d.]+ m?s  the server closed the connection", tall.text, re.MULTILINE), tall.text
    assert leave(tall) == 0
