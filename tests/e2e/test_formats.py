import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.shells import FOOTER
from tests.e2e.terminal import CTRL_L, ENTER, TAB, Terminal
from tests.servers import needs_server

pytestmark = [
    needs_server,
    pytest.mark.skipif(shutil.which("less") is None, reason="no less here"),
]

APP = """
from rpcserver import Service

service = Service("people")


@service.method
def people() -> list:
    "Some people."
    return [
        {"id": 1, "name": "Zoë", "city": "Zürich", "tags": ["a", {"b": 1}], "score": 1.5},
        {"id": 22, "name": "日本語テキスト", "city": "東京", "score": None, "note": "x\\u001b]0;y"},
        {"id": 333, "name": "Ann", "city": "Łódź", "score": 10, "note": "n" * 100},
    ]


@service.method
def text(n: int) -> str:
    "A text of many rows."
    return "one\\trow\\x1b\\n" * n


@service.method
def huge() -> list:
    "A hundred million bytes."
    return ["x" * 1000] * 100_000
"""


def open_shell(home: Path, **environment: str) -> Terminal:
    (home / "people.py").write_text(APP)
    terminal = Terminal(home, environment=environment)
    terminal.wait_for(r"^rpcshell> ")
    terminal.send(f":spawn 1 people.py{ENTER}")
    terminal.wait_for(r"worker \(sync\) on .*\n127.*> ")
    return terminal


def run(terminal: Terminal, line: str, pattern: str) -> re.Match[str]:
    """Run a line on a clear screen and wait for what it shows and the prompt after it."""
    terminal.wait_until_keys()
    terminal.mark()
    terminal.send(CTRL_L)
    terminal.wait_for(r"\A127\S+> \n")
    terminal.send(line + ENTER)
    return terminal.wait_for(rf"(?s){pattern}.*^127\S+> \n")


@pytest.mark.thorough
def test_tables_are_aligned_cut_and_turned_by_the_width_of_the_screen(tmp_path: Path) -> None:
    with open_shell(tmp_path) as terminal:
        terminal.wait_until_keys()
        terminal.send(":set format ta" + TAB)
        terminal.wait_for(":set format table")
        terminal.send(ENTER)
        terminal.wait_for("^format is table$")

        run(terminal, "people", FOOTER)
        terminal.wait_for(r"^people 3 rows$")
        assert terminal.column_of("Zoë") == terminal.column_of("日本") == terminal.column_of("Ann")
        assert terminal.column_of("Zürich") == terminal.column_of("東京") == terminal.column_of("Łódź")
        assert terminal.column_of("id  name") == terminal.column_of("22  日") > terminal.column_of("333  A")
        terminal.wait_for(r'Zürich  \["a",\{"b":1\}\] +1\.5$')
        terminal.wait_for(r"東京 +null  x\\x1b\]0;y$")
        assert max(len(line) for line in terminal.lines if "nnn" in line) == 80
        assert terminal.style_at("22").fg != terminal.style_at("Ann").fg != "default"

        terminal.resize(30, 40)
        run(terminal, "people", r"worker 1 · pid \d+$")
        terminal.wait_for(r"(?m)^── 2 ──\nid +22\nname +日本語テキスト\ncity +東京\n")
        terminal.wait_for(r"^note +n+…$")
        terminal.wait_for(r"waiting\nworker 1")

        terminal.resize(24, 80)
        run(terminal, ":set max_rows 1", "max_rows is 1")
        run(terminal, "people", r"^… 2 more; :set max_rows 0 shows all$")


def test_formats_times_and_the_pager_are_as_set(tmp_path: Path) -> None:
    with open_shell(tmp_path) as terminal:
        run(terminal, ":set format raw", "format is raw")
        run(terminal, "text n=2", r"^one     row\\x1b\none     row\\x1b\n\d")
        run(terminal, ":set time off", "time is off")
        run(terminal, "text n=1", r"row\\x1b\nworker 1 · pid")
        run(terminal, ":set meta off", "meta is off")
        run(terminal, "text n=1", r"row\\x1b\n(?=127)")
        run(terminal, "people", re.escape('"note":"x\\u001b]0;y"'))
        run(terminal, ":set pager off", "pager is off")
        run(terminal, "text n=50", r"(one     row\\x1b\n){15}(?=127)")
        run(terminal, ":set", r"^pager +off \* .*^doc +on")
        run(terminal, ":set formt json", "did you mean format")
        assert b"\x1b]0;" not in terminal.raw


@pytest.mark.thorough
def test_a_hundred_megabytes_are_shown_and_the_shell_goes_on(tmp_path: Path) -> None:
    with open_shell(tmp_path) as terminal:
        terminal.send(f"huge{ENTER}")
        terminal.wait_for(r'(?s)^huge \[\n  "x+.*^:\s*\Z')
        terminal.send("q")
        terminal.wait_for(FOOTER)
        run(terminal, "text n=1", r'^text "one\\trow\\u001b\\n"$')


@pytest.mark.thorough
def test_without_colours_nothing_is_coloured_in_the_pager_either(tmp_path: Path) -> None:
    with open_shell(tmp_path, NO_COLOR="1") as terminal:
        terminal.send(f"people{ENTER}")
        terminal.wait_for(r"^:\s*\Z")
        assert not re.search(rb"\x1b\[[\d;]*\b(3[1-8]|4[1-8]|9\d)\b[\d;]*m", terminal.raw)
        terminal.send("q")
        terminal.wait_for("worker 1")
