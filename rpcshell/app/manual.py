"""The manual outside of the shell: `rpcshell --man`, and the pages that the build puts into a wheel."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from rpcshell.guides import GUIDES, guide_files, read_guide, read_guide_here
from rpcshell.prompt.programs import find_pager
from rpcshell.shell.terminal import columns_of_terminal, is_terminal
from rpcshell.version import __version__
from rpcshell.view.guide_page import guide_text
from rpcshell.view.man_page import command_page, guide_manual

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDEST: Final = 100
_OF_A_PROGRAM: Final = {"rpcshell": "language", "rpcserver": "server"}
"""The guides that stand in the page of a command, below its options."""


def show_manual(name: str, help_text: str) -> None:
    """Show a guide, that of a program by the program's name: by the page where there is a terminal.

    The help is of `rpcshell` itself, and stands above its guide.

    Raises:
        OSError: It cannot be written.
    """
    width = min(columns_of_terminal(), _WIDEST)
    text = guide_text(read_guide_here(_OF_A_PROGRAM.get(name, name)), width)
    if name == "rpcshell":
        others = "\n".join(f"  rpcshell --man {guide:<12}  {about}" for guide, about in GUIDES.items())
        text = f"{help_text}\n\n{text}\n\nGuides\n\n{others}"
    pager = find_pager() if is_terminal(sys.stdout) else None
    if pager is None:
        click.echo(text)
    else:
        pager.show(lambda stream: click.echo(text, stream))


def pages(commands: Mapping[str, click.Command]) -> dict[str, str]:
    """The manual pages of both programs and of all guides, by the names of their files, in the language of man(7)."""
    found = {
        f"{name}.1": command_page(command, name, __version__, read_guide(_OF_A_PROGRAM[name]))
        for name, command in commands.items()
    }
    for guide, about in GUIDES.items():
        if guide not in _OF_A_PROGRAM.values():
            where = f"\n## Files\n\n`rpcshell --man {guide}` says where they are.\n" if guide_files(guide) else ""
            page = guide_manual(f"rpcshell-{guide}", __version__, about, read_guide(guide) + where)
            found[f"rpcshell-{guide}.7"] = page
    return found
