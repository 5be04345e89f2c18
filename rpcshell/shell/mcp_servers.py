"""Files in which other clients of MCP have their servers: `mcpServers`, each with a command or a URL.

They agree on `command`, `args`, `env`, `url` and `headers`, and on `${NAME}` for what is in the environment; some call
the table `servers`, and some have other names for the URL.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.errors import UsageError
from rpcshell.line.near_names import near_names
from rpcshell.shell.target_config import TargetConfig, fill
from rpcwire import ParseError, decode_value

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLES: Final = ("mcpServers", "servers")
_URLS: Final = ("url", "httpUrl", "serverUrl")


class _Server(msgspec.Struct, frozen=True):
    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    headers: dict[str, str] = {}


def mcp_server(file: str | Path, name: str, environment: Mapping[str, str] = os.environ) -> TargetConfig:
    """The server of a name in such a file; variables are filled in, but for those in the environment and the headers.

    Raises:
        UsageError: There is none, it makes no sense, or a variable is not set. No message has the value of one.
    """
    servers = _servers(file)
    if name not in servers:
        near = near_names(name, servers)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(servers) or 'none'}"
        raise UsageError(f"{file} has no server {name!r}", hint=hint)
    try:
        config = _config(servers[name], environment)
        config.target_among({})
    except UsageError as error:
        raise UsageError(f"{file}: {name}: {error.message}", hint=error.hint) from None
    return config


def _servers(file: str | Path) -> dict[str, Any]:
    try:
        document = decode_value(Path(file).expanduser().read_bytes().removeprefix(BOM_UTF8))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except ParseError as error:
        raise UsageError(f"{file} is no JSON: {error}") from error
    found = [document[table] for table in _TABLES if isinstance(document, dict) and table in document]
    if not found or not isinstance(found[0], dict):
        raise UsageError(f"{file} has no servers", hint='it is for files with {"mcpServers": {NAME: {...}}}')
    servers: dict[str, Any] = found[0]
    return servers


def _config(server: Any, environment: Mapping[str, str]) -> TargetConfig:
    try:
        read = msgspec.convert(server, _Server)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)[:1].lower() + str(error)[1:]) from None
    url = next((server[key] for key in _URLS if isinstance(server.get(key), str)), None)
    return TargetConfig(
        address=None if url is None else fill(url, environment),
        dialect="mcp",
        command=None if read.command is None else [fill(word, environment) for word in (read.command, *read.args)],
        env=read.env,
        cwd=None if read.cwd is None else str(Path(fill(read.cwd, environment)).expanduser()),
        headers=read.headers,
    )
