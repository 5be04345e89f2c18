from __future__ import annotations

import re
import shutil
import subprocess

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.view.man_page import command_page, guide_manual
from tests.rpcshell.view.test_guide_page import PAGE

MACROS = {".TH", ".SH", ".PP", ".TP", ".IP", ".RS", ".RE", ".nf", ".fi"}


@click.command("demo", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--bind", metavar="ADDRESS", help="Where to listen.")
def demo() -> None:
    """Do it.

    .At length: 'so' and -so.
    """


def test_a_command_has_a_page() -> None:
    page = command_page(demo, "demo", "1.0", PAGE)
    assert page.startswith('.TH "DEMO" 1 "" "rpcshell 1.0"\n.SH NAME\ndemo \\- do it\n.SH SYNOPSIS\n')
    assert "\n.TP\n\\fB\\-\\-bind ADDRESS\\fR\nWhere to listen.\n" in page
    assert "\\fB\\-h, \\-\\-help\\fR" in page
    assert "\n\\&.At length: 'so' and \\-so.\n" in page
    assert "\n.TP\n\\fBa|b\\fR\n\\fB:help c\\fR\n" in page


@given(st.text(alphabet="ab`*|.'\\\"- \n#界", max_size=100))
def test_no_text_is_taken_for_a_macro(text: str) -> None:
    page = guide_manual("x", "1", "about", f"{text}\n\n```sh\n{text}\n```\n")
    assert {line.split()[0] for line in page.splitlines() if re.match(r"[.']", line)} <= MACROS


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_a_page_is_read_without_a_warning() -> None:
    page = command_page(demo, "demo", "1.0", PAGE)
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-k", "-ww"], input=page, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    assert "run   --it" in done.stdout
