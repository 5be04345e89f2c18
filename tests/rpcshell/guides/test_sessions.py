"""The lines that README has for a prompt run, and its picture is one of a session that can be recorded anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.recording.picture import PICTURE, as_svg, cells_of, record, session
from tests.rpcshell.guides.pages import blocks

SVG = "{http://www.w3.org/2000/svg}"


def test_the_lines_of_the_readme_run(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("rpcshell") if block.page == "README.md")
    assert len(block.text.splitlines()) == 10
    lines = block.text.replace(" -d 1 ", " -d 0.1 ")
    done = subprocess.run(
        [sys.executable, "-m", "rpcshell", "--spawn", "4", "-k"],
        input=lines,
        env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # One call is wrong, and says what would have been right.
    assert re.findall(r"^rpcshell: (.*?) of", done.stderr, re.MULTILINE) == ["stdin:8: echo: error -32602: $.times"]
    assert done.returncode == 1
    for shown in ("3.0\n", '"14.90"', "Place an order", " lost · ", "call 4", "calls/s"):
        assert shown in done.stdout


def words(picture: str) -> set[str]:
    texts = [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314 - our own
    return set(re.findall(r"[a-z_.]{4,}", " ".join(texts)))


def test_the_picture_shows_a_call_that_is_filled_in_and_why_one_hangs() -> None:
    picture = PICTURE.read_text()
    assert {"order.place", "customer", "shipping", "sleep", "handler", "takes", "cancelled"} <= words(picture)
    assert re.findall(r"\w+://[^\"]*", picture) == ["http://www.w3.org/2000/svg"]


@pytest.mark.thorough
def test_the_picture_can_be_drawn_anew(tmp_path: Path) -> None:
    with session(tmp_path) as terminal:
        record(terminal)
        drawn = words(as_svg(cells_of(terminal), "anew"))
    assert {"order.place", "customer", "shipping", "sleep", "handler", "takes", "cancelled"} <= drawn
