"""Completion, checking and documentation while typing, in a real terminal."""

import re
from pathlib import Path

import pytest

from tests.e2e.shells import spawn
from tests.e2e.terminal import CTRL_C, ENTER, TAB, Terminal
from tests.servers import needs_server

pytestmark = needs_server

F2 = "\x1bOQ"


def clear(terminal: Terminal) -> None:
    terminal.send(CTRL_C)
    terminal.wait_for(r"> +$\s*\n.*Tab completes")


def pane_rows(terminal: Terminal) -> int:
    """How many rows the documentation has, above the one at the bottom."""
    lines = terminal.lines
    return len(lines) - 1 - next(row for row, line in enumerate(lines) if line.startswith("── "))


def test_nested_params_are_completed_documented_and_checked(terminal: Terminal) -> None:
    terminal.resize(30, 100)
    address = spawn(terminal)
    terminal.send("orplace")
    terminal.wait_for(r"^ +order\.place +Place an order\.")
    terminal.wait_for(r"^── order\.place ──")
    terminal.send(TAB)
    terminal.wait_for(r"> order\.place$")

    tallest = pane_rows(terminal)
    assert tallest <= 10
    terminal.send(' {"items": [{')
    terminal.wait_for(r"^ +quantity +integer · default 1 · 1 to 1000")
    terminal.wait_for(r"^── order\.place · items\[\] ──")
    assert pane_rows(terminal) < tallest
    terminal.wait_for(r"^sku +string +Article number")
    terminal.send('"q' + TAB)
    terminal.wait_for(r'\[\{"quantity":')
    terminal.wait_for(r"^ +1 +default")
    terminal.wait_for_style("quantity?", lambda drawn: drawn.reverse)
    terminal.send('0, "sku": "TEA-42"}], ')
    terminal.wait_for(r"^column \d+: at least 1")
    terminal.wait_for_style('0, "sku"', lambda drawn: drawn.underscore)
    assert not terminal.style_at('"sku"').underscore
    terminal.send('"ship')
    terminal.wait_for(r"^ +shipping +Shipping")
    terminal.send(TAB)
    terminal.wait_for(r'"shipping":')
    terminal.wait_for(r'^ +"standard" +default\n +"express"')
    terminal.send('"exp' + TAB)
    terminal.wait_for(r'"shipping": "express"')

    terminal.send(F2)
    terminal.wait_until_gone(r"^── order\.place")
    terminal.send(F2)
    terminal.wait_for(r"^── order\.place")
    clear(terminal)

    terminal.send(f"order.place customer=Ada items=[{{'sku': 'TEA-42'}}] address={{street: 'A', city: 'B'}}{ENTER}")
    terminal.wait_for(r'^  "id": 1,$')
    terminal.wait_for(rf"worker \d.*\n{re.escape(address)}> ")
    terminal.send("order.get id=")
    terminal.wait_for(r"^ +1 +from order\.place")
    terminal.send("$_.")
    terminal.wait_for(r"^ +\.customer +\"Ada\"")
    terminal.send("customer ")
    terminal.wait_for(r"^column 14: expected integer, not a string")
    clear(terminal)

    terminal.send(":set form" + TAB)
    terminal.wait_for(r"> :set format")
    terminal.send(" ")
    terminal.wait_for(r"^ +auto +now\n +json")
    clear(terminal)
    (terminal.home / "kept.json").touch()
    terminal.send("ping 1 > ke")
    terminal.wait_for(r"^ +kept\.json +file")
    clear(terminal)
    terminal.send(":connect 127")
    terminal.wait_for(rf"^ +{re.escape(address)} +target")


@pytest.mark.thorough
def test_a_narrow_terminal_has_room_for_all_of_it(tmp_path: Path) -> None:
    with Terminal(tmp_path, rows=16, columns=40) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        terminal.send(f":spawn 1{ENTER}")
        terminal.wait_for(r"1 worker \(sync\) on")
        terminal.wait_for(r"^127[^ ]+> ")
        terminal.send("order.place items=[{")
        terminal.wait_for(r"^ sku +string · required")
        terminal.wait_for(r"^── order\.place · items\[\] ──")
        terminal.wait_for(r"^….*items: Item\[\], a.*… +needs }]$")
