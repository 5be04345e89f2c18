"""Python files that make the calls with the blocking client: a program that prints results, and tests for pytest."""

from __future__ import annotations

import re
from itertools import chain, groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

from rpcshell.commands.export.expected import ANY, Expectations
from rpcshell.commands.export.exported import SecretPlace, Secrets, call_key, introduction, reason
from rpcshell.commands.export.literals import Expression, Wrapped, call_text, literal
from rpcshell.line.masking import mask_secrets
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from rpcshell.commands.export.exported import Export
    from rpcshell.shell.call import Call

_LONG: Final = 30.0
"""Seconds after which a call gets a time limit of its own, since the client's may be too short for it."""

_LONGEST_NAME: Final = 40
_DECIMAL: Final = re.compile(r"\bDecimal\b")
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


def program_text(export: Export) -> str:
    """The program, ending in a newline."""
    secrets = Secrets(export.records)
    calls = [_call(record, export, secrets) for record in export.records]
    named = _constants(export, secrets)
    imports = _imports(secrets, *named, *chain.from_iterable(calls))
    lines = [*_docstring(export, "python"), "", *imports, "", _imported(export), "", *named, ""]
    opened = [f"{call} as {name}" for name, call in _connections(export).items()]
    if len(opened) == 1:
        lines.append(f"with {opened[0]}:")
    else:
        lines += ["with (", *(f"    {each}," for each in opened), "):"]
    for call, following in pairwise([*calls, []]):
        lines += call
        # A call of several lines has an empty line on either side.
        if following and (len(call) > 1 or len(following) > 1 or "\n" in call[0] + following[0]):
            lines.append("")
    return "\n".join(lines) + "\n"


def _docstring(export: Export, program: str, what: str = "") -> list[str]:
    first, *rest = (line.replace("\\", "\\\\").replace('"', "'") for line in introduction(export, program, what))
    return [f'"""{first}', *rest, '"""']


def _imports(secrets: Secrets, *code: str) -> list[str]:
    """The lines that import what the code needs of Python."""
    json = ["import json"] if any(not secret.text for secret in secrets.used) else []
    decimal = ["from decimal import Decimal"] if any(map(_DECIMAL.search, code)) else []
    return [*json, "import os", *decimal]


def _imported(export: Export) -> str:
    """The line that imports what is needed of the client."""
    names = ["connect"]
    if any(record.outcome == "error" for record in export.records):
        names.insert(0, "CallError")
    if any(export.envelope_of(target) is not None for target in export.targets):
        names.insert(-1, "Envelope")
    if any(map(export.files_of, export.targets)):
        names.insert(-1, "TlsFiles")
    return f"from rpcshell import {', '.join(names)}"


def _constants(export: Export, secrets: Secrets) -> list[str]:
    """The lines that say where the servers are and take the secrets from the environment."""
    lines = []
    for target, ending in export.targets.items():
        # Without the name of a dialect that only the configuration knows.
        address = target if export.envelope_of(target) is None else target.partition(":")[2]
        where = literal(mask_secrets(address))
        lines.append(f"TARGET{ending} = os.environ.get({literal(f'RPCSHELL_TARGET{ending}')}, {where})")
    for secret in secrets.used:
        read = f"os.environ[{literal(secret.variable)}]"
        value = read if secret.text else f"json.loads({read}{', parse_float=Decimal' if export.decimals else ''})"
        lines.append(f"{secret.name} = {value}  # {visible(secret.content)}")
    return lines


def _connections(export: Export) -> dict[str, str]:
    """What a program calls its clients, and the expression that connects each."""
    longest = max((record.elapsed for record in export.records), default=0.0)
    found = {}
    for target, ending in export.targets.items():
        arguments: list[Any] = [Expression(f"TARGET{ending}")]
        if longest > _LONG:
            arguments.append(Expression(f"timeout={round(3 * longest)}"))
        if (table := export.envelope_of(target)) is not None:
            arguments.append(Expression(f"dialect={call_text('Envelope.from_table', [table])}"))
        if target in export.plain:
            arguments.append(Expression("plain=True"))
        if export.decimals:
            arguments.append(Expression('floats="decimal"'))
        if files := export.files_of(target):
            named: list[Any] = [Expression(f"{name}={literal(path)}") for name, path in files.items()]
            arguments.append(Expression(f"tls={call_text('TlsFiles', named)}"))
        found[f"client{ending}"] = call_text("connect", arguments)
    return found


def _call_of(record: Call, export: Export, secrets: Secrets, *, margin: int, column: int) -> str:
    """The expression that makes a call, laid out as `literal` does."""
    arguments: list[Any] = [record.method]
    if record.params is not None:
        arguments.append(_as_code(secrets.hide_params(record), decimals=export.decimals))
    client = f"client{export.targets[record.target]}"
    return call_text(f"{client}.call", arguments, margin=margin, column=column)


def _as_code(value: Any, *, decimals: bool) -> Any:
    """A value with the names of its secrets, and with `Decimal`s for its floats where those are wanted."""
    match value:
        case SecretPlace():
            return Expression(value.name)
        case float() if decimals:
            return Expression(f'Decimal("{value!r}")')
        case dict():
            return {key: _as_code(inner, decimals=decimals) for key, inner in value.items()}
        case list():
            return [_as_code(inner, decimals=decimals) for inner in value]
        case Wrapped():
            return Wrapped(value.function, _as_code(value.value, decimals=decimals))
    return value


def _call(record: Call, export: Export, secrets: Secrets) -> list[str]:
    if record.outcome == "ok":
        return [f"    print({_call_of(record, export, secrets, margin=4, column=11)})"]
    return [
        "    try:",
        f"        print({_call_of(record, export, secrets, margin=8, column=15)})",
        "    except CallError as error:",
        f"        print(error)  # it was {reason(record, secrets)}",
    ]


def tests_text(export: Export) -> str:
    """The tests, ending in a newline."""
    secrets = Secrets(export.records)
    for record in export.records:
        secrets.hide_params(record)
    expectations = Expectations(export, secrets)
    # The same call over and over tells no more than once.
    once = [next(same) for _, same in groupby(export.records, lambda record: (call_key(record), record.outcome))]
    body = "\n\n".join(_test(record, export, secrets, expectations) for record in once)
    lines = [*_docstring(export, "pytest", ", as tests"), ""]
    named = _constants(export, secrets)
    imports = _imports(secrets, body, *named)
    if re.search(rf"\b{ANY.text}\b", body):
        imports.append("from unittest.mock import ANY")
    lines += [*imports, "", "import pytest", "", _imported(export), "", *named]
    text = "\n".join(lines) + "\n"
    for name, definition in (("Some", _SOME), ("Each", _EACH)):
        if f"{name}(" in body:
            text += f"\n{definition}"
    for name, call in _connections(export).items():
        text += (
            f'\n\n@pytest.fixture(scope="module")\ndef {name}():\n    with {call} as {name}:\n        yield {name}\n'
        )
    return f"{text}\n\n{body}"


def _test(record: Call, export: Export, secrets: Secrets, expectations: Expectations) -> str:
    slug = re.sub(r"\W+", "_", record.method, flags=re.ASCII).strip("_")[:_LONGEST_NAME].lower()
    lines = [f"def test_{record.number}_{slug}(client{export.targets[record.target]}):"]
    if record.outcome == "error":
        lines += [
            "    with pytest.raises(CallError) as raised:",
            f"        {_call_of(record, export, secrets, margin=8, column=8)}",
            f"    assert raised.value.code == {record.code}",
        ]
        return "\n".join(lines) + "\n"
    expected = expectations.of(record)
    call = _call_of(record, export, secrets, margin=4, column=13)
    if expected is None:
        lines.append(f"    {call}  # the result was too large, or nested too deeply, to be kept")
        return "\n".join(lines) + "\n"
    value, exact = expected
    if not exact:
        lines.append("    # Nothing tells that a second call brings the same: this holds only what it looks like.")
    if "\n" in call:
        lines.append(f"    result = {call}")
        call = "result"
    start = f"    assert {call} == "
    lines.append(f"{start}{literal(_as_code(value, decimals=export.decimals), margin=4, column=len(start))}")
    return "\n".join(lines) + "\n"
