"""Calls that were made, as files that make them again: a Python program, a script for sh(1), tests for pytest.

Each kind of file has a module here; they share how values are written as Python, how secrets are kept out, and what of
a result can be expected a second time. Nothing here calls a server or writes a file.
"""

from __future__ import annotations

from typing import Literal

from rpcshell.commands.export.exported import Export, leave_out

__all__ = ["Export", "Kind", "export_text", "leave_out"]

Kind = Literal["python", "shell", "pytest"]
"""The kinds of files."""


def export_text(kind: Kind, export: Export) -> str:
    """The text of a file, ending in a newline."""
    from rpcshell.commands.export import python_files, script

    match kind:
        case "python":
            return python_files.program_text(export)
        case "shell":
            return script.script_text(export)
        case "pytest":
            return python_files.tests_text(export)
