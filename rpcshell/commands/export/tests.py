"""Tests for pytest: a test for each call, with what a second run can be expected to bring."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rpcshell.commands.export.expected import ANY, Expectations
from rpcshell.commands.export.exported import call_key, targets_of
from rpcshell.commands.export.literals import literal
from rpcshell.commands.export.program import call_of, connections, constants, docstring, imported
from rpcshell.commands.export.secrets import Secrets

if TYPE_CHECKING:
    from rpcshell.commands.export.exported import Export
    from rpcshell.shell.call import Call

__all__ = ["tests_text"]

_LONGEST_NAME: Final = 40

_SOME: Final = '''
class Some:
    """Equal to every value of some types, where the value itself is not known beforehand."""

    def __init__(self, *types):
        self.types = types

    def __eq__(self, other):
        return type(other) in self.types

    def __repr__(self):
        return f"Some({', '.join(kind.__name__ for kind in self.types)})"
'''

_EACH: Final = '''
class Each:
    """Equal to every list whose items are all equal to one."""

    def __init__(self, item):
        self.item = item

    def __eq__(self, other):
        return isinstance(other, list) and all(self.item == item for item in other)

    def __repr__(self):
        return f"Each({self.item!r})"
'''


def tests_text(export: Export) -> str:
    """The tests, ending in a newline."""
    secrets = Secrets(export.records)
    for record in export.records:
        secrets.hide(record.params, record.method)
    expectations = Expectations(export, secrets)
    # The same call over and over tells no more than once.
    once = [next(same) for _, same in groupby(export.records, lambda record: (call_key(record), record.outcome))]
    body = "\n\n".join(_test(record, export, secrets, expectations) for record in once)
    lines = [*docstring(export, "pytest", ", as tests"), ""]
    imports = ["import os"]
    if any(not secret.text for secret in secrets.used):
        imports.insert(0, "import json")
    if re.search(rf"\b{ANY.text}\b", body):
        imports.append("from unittest.mock import ANY")
    lines += [*imports, "", "import pytest", "", imported(export), ""]
    lines += constants(export, secrets)
    text = "\n".join(lines) + "\n"
    for name, definition in (("Some", _SOME), ("Each", _EACH)):
        if f"{name}(" in body:
            text += f"\n{definition}"
    for name, call in connections(export).items():
        text += (
            f'\n\n@pytest.fixture(scope="module")\ndef {name}():\n    with {call} as {name}:\n        yield {name}\n'
        )
    return f"{text}\n\n{body}"


def _test(record: Call, export: Export, secrets: Secrets, expectations: Expectations) -> str:
    ending = targets_of(export.records)[record.target]
    slug = re.sub(r"\W+", "_", record.method, flags=re.ASCII).strip("_")[:_LONGEST_NAME].lower()
    lines = [f"def test_{record.number}_{slug}(client{ending}):"]
    if record.outcome == "error":
        lines += [
            "    with pytest.raises(CallError) as raised:",
            f"        {call_of(record, export, secrets, margin=8, column=8)}",
            f"    assert raised.value.code == {record.code}",
        ]
        return "\n".join(lines) + "\n"
    expected = expectations.of(record)
    call = call_of(record, export, secrets, margin=4, column=13)
    if expected is None:
        lines.append(f"    {call}  # the result was too large to be kept")
        return "\n".join(lines) + "\n"
    if not expected.exact:
        lines.append("    # Nothing tells that a second call brings the same: this holds only what it looks like.")
    if "\n" in call:
        lines.append(f"    result = {call}")
        call = "result"
    start = f"    assert {call} == "
    lines.append(f"{start}{literal(expected.value, margin=4, column=len(start))}")
    return "\n".join(lines) + "\n"
