"""Paths in a line of the system's shell."""

import pytest

from rpcshell.line.language import parse
from rpcshell.line.suggest import PathChoice, Surroundings, suggest


@pytest.mark.parametrize(("line", "offered"), [("!cat /a", ["/ax"]), ("!ca", []), ("!cat ", [])])
def test_what_the_command_is_given_may_be_a_path(line: str, offered: list[str]) -> None:
    around = Surroundings(paths=lambda typed: [PathChoice(f"{typed}x", "x", "file")])
    assert [found.text for found in suggest(parse(line), len(line), around)] == offered
