import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shells import FOOTER
from tests.e2e.terminal import CTRL_C, ENTER, Terminal
from tests.servers import needs_server

pytestmark = [
    needs_server,
    pytest.mark.skipif(shutil.which("less") is None, reason="no less here"),
]

APP = """
from rpcserver import Service

service = Service("big")


@service.method
def items(n: int) -> list:
    "Many items."
    return [{"id": i, "name": f"name {i}", "text": "x" * 200} for i in range(n)]


@service.method
def text(n: int) -> str:
    "A long text."
    return "\\u202eabc" * n


@service.method
def order(n: int) -> list:
    "Nested."
    lines = [{"sku": f"s{i}", "tags": ["a", "b"], "price": {"amount": 1.5, "currency": "EUR"}} for i in range(10)]
    return [{"id": i, "lines": lines} for i in range(n)]
"""


def open_shell(home: Path, **environment: str) -> Terminal:
    (home / "big.py").write_text(APP)
    terminal = Terminal(home, environment=environment)
    terminal.wait_for(r"^rpcshell> ")
    terminal.send(f":spawn 1 big.py{ENTER}")
    terminal.wait_for(r"worker \(sync\) on .*\n127.*> ")
    return terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_shell(tmp_path) as terminal:
        yield terminal


def test_what_fits_on_the_screen_is_not_paged(terminal: Terminal) -> None:
    terminal.send(f"items n=2{ENTER}")
    terminal.wait_for(FOOTER)
    assert "(END)" not in terminal.text


def test_a_long_reply_is_paged_in_colour_and_leaving_early_is_fine(terminal: Terminal) -> None:
    terminal.send(f"items n=1000{ENTER}")
    terminal.wait_for(r'^    "id": 0,$')
    terminal.wait_for(r"^:\s*\Z")
    assert terminal.style_at('"id"').fg != "default"
    terminal.send("q")
    terminal.wait_for(rf"(?s){FOOTER}.*> \n")
    terminal.send(f"items n=0{ENTER}")
    terminal.wait_for(r"^items \[\]$")


def test_ctrl_c_in_the_pager_ends_neither_pager_nor_shell(terminal: Terminal) -> None:
    terminal.send(f"items n=1000{ENTER}")
    terminal.wait_for(r"^:\s*\Z")
    terminal.send(CTRL_C)
    # An interrupt makes less forget the keys that come at the same moment.
    terminal.press_until("G", r"^\]$")
    terminal.send("q")
    terminal.wait_for(rf"(?s){FOOTER}.*> \n")


@pytest.mark.thorough
def test_a_12_mb_reply_is_left_at_its_first_page(terminal: Terminal) -> None:
    for call in ("items n=50000", "order n=14000"):
        terminal.mark()
        terminal.send(call + ENTER)
        terminal.wait_for(r'^    "id": 0,$')
        terminal.wait_for(r"^:\s*\Z")
        terminal.send("q")
        terminal.wait_for(rf"(?s){FOOTER}.*> \n")
        terminal.wait_until_keys()


@pytest.mark.thorough
def test_a_long_text_is_escaped_in_the_pager_too(terminal: Terminal) -> None:
    terminal.send(f"text n=100000{ENTER}")
    terminal.wait_for(r"^:\s*\Z")
    terminal.wait_for(re.escape(r"\u202eabc\u202eabc"))
    terminal.send("q")
    terminal.wait_for(FOOTER)
    assert "\u202e" not in terminal.raw.decode(errors="replace")


@pytest.mark.thorough
def test_the_users_pager_gets_plain_text(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {tmp_path}/paged\necho PAGED\n")
    pager.chmod(0o755)
    with open_shell(tmp_path, PAGER=str(pager)) as terminal:
        terminal.send(f"items n=1000{ENTER}")
        terminal.wait_for("^PAGED$")
        terminal.wait_for(FOOTER)
    paged = (tmp_path / "paged").read_text()
    assert paged.startswith("items [\n")
    assert paged.endswith("\n]\n")
    assert "\x1b" not in paged


@pytest.mark.thorough
def test_without_a_pager_all_is_printed(tmp_path: Path) -> None:
    with open_shell(tmp_path, PAGER="cat") as terminal:
        terminal.send(f"items n=50{ENTER}")
        terminal.wait_for(rf"(?s)\"id\": 49,.*{FOOTER}")


@pytest.mark.thorough
def test_a_pager_that_is_not_there_is_replaced(tmp_path: Path) -> None:
    with open_shell(tmp_path, PAGER="no-such-pager") as terminal:
        terminal.send(f"items n=1000{ENTER}")
        terminal.wait_for(r"^:\s*\Z")
        terminal.send("q")
        terminal.wait_for(FOOTER)
