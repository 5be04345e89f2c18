"""A script for sh(1), as POSIX has it, that makes the calls with `rpcshell -c`.

A call with secrets is read from a here-document instead: what is on a command line, any user of the machine can see.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from rpcshell.commands.export.exported import SecretPlace, Secrets, introduction, reason
from rpcshell.line.language import method_text, unparse
from rpcshell.line.masking import mask_secrets

if TYPE_CHECKING:
    from rpcshell.commands.export.exported import Export
    from rpcshell.shell.call import Call

_END: Final = "END"
_JSON_FUNCTION: Final = r"""
# A text as JSON.
json() {
    printf '%s\n' "$1" | sed 's/[\\"]/\\&/g' | awk '{ printf "%s%s", (NR > 1 ? "\\n" : "\""), $0 } END { print "\"" }'
}
"""


def script_text(export: Export) -> str:
    """The script, ending in a newline."""
    secrets = Secrets(export.records)
    calls = [_call(record, export, secrets) for record in export.records]
    lines = ["#!/bin/sh", *(f"# {line}".rstrip() for line in introduction(export, "sh")), "set -eu"]
    lines.append("")
    lines += [
        f"target{ending}=${{RPCSHELL_TARGET{ending}:-{shlex.quote(mask_secrets(target))}}}"
        for target, ending in export.targets.items()
    ]
    lines += [f': "${{{secret.variable}:?set it to {_plain(secret.content)}}}"' for secret in secrets.used]
    if any(secret.text for secret in secrets.used):
        lines += _JSON_FUNCTION.rstrip("\n").splitlines()
    return "\n".join([*lines, "", *calls]) + "\n"


def _call(record: Call, export: Export, secrets: Secrets) -> str:
    words = ["rpcshell"]
    if record.target in export.plain:
        words.append("--plain")
    for name, path in export.files_of(record.target).items():
        words += [f"--tls-{name}", shlex.quote(path)]
    words.append(f'"$target{export.targets[record.target]}"')
    command = " ".join(words)
    failed = record.outcome == "error"
    accept = " || [ $? -eq 1 ]" if failed else ""
    params = secrets.hide_params(record)
    if hidden := _secrets_in(params):
        text = f"{command} <<{_END}{accept}\n{_document(record, params, hidden)}\n{_END}"
    else:
        # Without params nothing stands behind the method.
        line = method_text(record.method) if record.params is None else unparse(record.method, record.params)
        text = f"{command} -c {shlex.quote(line)}{accept}"
    return f"# {reason(record, secrets)}\n{text}" if failed else text


def _document(record: Call, params: Any, hidden: list[SecretPlace]) -> str:
    """A line with its secrets taken from variables, and all else kept from the script's own expansion."""
    # More of them than the call has, so that nothing of its own looks like a mark.
    mark = "\x00" * (1 + unparse(record.method, record.params).count("\\u0000"))
    line = unparse(record.method, _marked(params, mark))
    for character in "\\$`":
        line = line.replace(character, f"\\{character}")
    for secret in hidden:
        marked = json.dumps(f"{mark}{secret.name}{mark}").replace("\\", "\\\\")
        value = f'$(json "${secret.variable}")' if secret.text else f"${secret.variable}"
        line = line.replace(marked, value)
    return line


def _secrets_in(value: Any) -> list[SecretPlace]:
    if isinstance(value, SecretPlace):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [secret for inner in inside for secret in _secrets_in(inner)]


def _marked(value: Any, mark: str) -> Any:
    if isinstance(value, SecretPlace):
        return f"{mark}{value.name}{mark}"
    if isinstance(value, dict):
        return {key: _marked(inner, mark) for key, inner in value.items()}
    return [_marked(inner, mark) for inner in value] if isinstance(value, list) else value


def _plain(text: str) -> str:
    """A text for the message of a parameter expansion, where most marks mean something."""
    return "".join(character for character in text if character.isalnum() or character in " _.-")
