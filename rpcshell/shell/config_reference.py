"""A configuration that explains itself: every table and key there is, with its default, as comments.

It is made from the code that reads configurations, so that it cannot tell of what is not there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

import msgspec

from rpcshell.client.dialects.envelope import Envelope
from rpcshell.shell.target_config import TargetConfig
from rpcshell.view.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rpcshell.view.settings import Setting

_HEAD: Final = """\
# The configuration of rpcshell. Every line is optional: take the # away from what you want to change.
# It is read once, when the shell starts; `rpcshell --help` says from where.
"""
_SETTINGS: Final = "# Settings of the prompt, as `:set` shows them; scripts and single lines heed only timeout."
_TARGETS: Final = """\
# Targets by name: `rpcshell NAME`, `:connect NAME`. A name begins with a letter and has no colon, slash or blank.
# Files are looked for beside this one, unless their path says otherwise; ~ is your home.
"""
_EXAMPLES: Final = (
    ("prod", 0, ("address", "tls-ca", "tls-cert", "tls-key", "plain", "timeout")),
    ("tools", 0, ("dialect", "command", "env", "cwd", "init", "openrpc", "sampling")),
    ("code", 1, ("dialect", "command", "options")),
    ("api", -1, ("address", "dialect", "headers")),
    ("fleet", 1, ("address", "registry-credentials")),
)
"""Targets whose keys go together, and which example of each key is for them."""

_DIALECTS: Final = """\
# Dialects of servers with an envelope of their own, by name: `rpcshell NAME:unix:/run/x.sock`, or a target's dialect.
# Places in messages are keys with dots between them, "problem.text".
"""
DIALECTS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "kea": (
        "Kea's DHCP servers: JSON after JSON, and a connection for each call.",
        {
            "request": {"command": "$method", "arguments": "$params"},
            "reply": {"ok": {"result": [0, 3]}, "result": ["arguments", "text"], "error": "text", "code": "result"},
            "names": {"method": "list-commands"},
            "one-call": True,
        },
    ),
    "suricata": (
        "Suricata's socket: it wants to hear of a version first.",
        {
            "framing": "line",
            "hello": {"version": "0.2"},
            "request": {"command": "$method", "arguments": "$params"},
            "reply": {"ok": {"return": "OK"}, "result": "message", "error": "message"},
            "names": {"method": "command-list", "path": "commands"},
            "pipelined": False,
        },
    ),
    "watchman": (
        "Watchman: a call is a list, and what has `unilateral` was not asked for.",
        {
            "framing": "line",
            "request": ["$method", "$params..."],
            "event": {"key": "unilateral", "name": "subscription"},
            "names": {"method": "list-capabilities", "path": "capabilities", "prefix": "cmd-"},
            "pipelined": False,
        },
    ),
}
"""Dialects of servers that there are, with a line on each."""

_ALIASES: Final = "# Words that stand for the beginning of a line: `NAME rest` runs `LINE rest`."
_KEYS: Final = "# Keys of the prompt, and the action or the line that each one runs."


def config_reference() -> str:
    """The text, which is a configuration without any effect."""
    lines = [_HEAD]
    lines += [_SETTINGS, "[settings]", *(line for setting in Settings().items() for line in _setting(setting))]
    lines += ["", _TARGETS + "[targets]", '# local = "127.0.0.1:8080"', ""]
    for name, number, keys in _EXAMPLES:
        lines += [f"# [targets.{name}]", *_keys(TargetConfig, keys, number), ""]
    lines += [_DIALECTS + "[dialects]", "", "# [dialects.mine]", *_keys(Envelope), ""]
    for name, (about, table) in DIALECTS.items():
        lines += [f"# # {about}", f"# [dialects.{name}]"]
        lines += [*(f"# {key} = {_toml(value)}" for key, value in table.items()), ""]
    lines.pop()
    lines += ["", _ALIASES, "[aliases]", '# w = ":watch 1"']
    lines += ["", _KEYS, "[keys]", '# f5 = ":methods"', ""]
    return "\n".join(lines)


def _setting(setting: Setting) -> Iterator[str]:
    choices = ", ".join(setting.choices)
    yield f"# # {setting.help}{f' ({choices})' if choices else ''}"
    yield f"# {setting.name} = {toml_setting(setting.default)}"


def _keys(struct: type[msgspec.Struct], keys: tuple[str, ...] = (), number: int = 0) -> Iterator[str]:
    """Keys of a table, or all, each with what it means, and with one of its examples."""
    fields = _fields(struct)
    for key in keys or fields:
        kind, meaning = fields[key]
        yield f"# # {meaning.description}"
        for inner in (kind, *get_args(kind)):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                yield from (f"# #   {name}: {what.description}" for name, (_, what) in _fields(inner).items())
        yield f"# {key} = {_toml(meaning.examples[number])}"


def _fields(struct: type[msgspec.Struct]) -> dict[str, tuple[Any, Any]]:
    """By its key, the type of each field, and what `msgspec.Meta` says of it."""
    hints = get_type_hints(struct, include_extras=True)
    annotated = {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}
    return {key: (hint.__origin__, hint.__metadata__[0]) for key, hint in annotated.items()}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}" if value else "{}"
    return json.dumps(value)


def toml_setting(text: str) -> str:
    """The value of a setting in TOML: on and off as booleans, numbers bare, the rest in quotes."""
    if text in {"on", "off"}:
        return json.dumps(text == "on")
    return text if text.isdecimal() else json.dumps(text)
