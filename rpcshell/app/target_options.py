"""Options of the command line that add to the target, be it an address or a name of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import replace

from rpcshell.client.errors import UsageError
from rpcshell.client.target import HttpTarget, ListTarget, ServersetTarget, SrvTarget, TlsFiles, TlsTarget
from rpcshell.shell.mcp_servers import mcp_server
from rpcshell.shell.target_config import checked_headers, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.client.target import Target
    from rpcshell.shell.config import Config
    from rpcshell.shell.target_config import TargetConfig

_FILE: Final = click.Path(exists=True, dir_okay=False)


def with_mcp_server(config: Config, file: str, name: str) -> Config:
    """A configuration with a server of a file as other clients of MCP have.

    Raises:
        UsageError: There is no such server, it makes no sense, or a variable is not set.
    """
    return _with_target(config, name, mcp_server(file, name))


def with_registry_credentials(
    where: Target | str | None, config: Config, file: str
) -> tuple[Target | str | None, Config]:
    """The target with a file of credentials, and the configuration where it has the target.

    Raises:
        UsageError: No ZooKeeper knows its servers.
    """
    if isinstance(where, ServersetTarget):
        return replace(where, credentials=file), config
    if isinstance(where, str) and isinstance(_named(config, where), ServersetTarget):
        return where, _with_target(config, where, replace(config.targets[where], registry_credentials=file))
    raise UsageError("--registry-credentials is for servers that ZooKeeper knows", hint="write zk://host:port/path")


def with_headers(
    where: Target | str | None, config: Config, lines: Sequence[str]
) -> tuple[Target | str | None, Config]:
    """The target with headers as `NAME:VALUE`, and the configuration where it has the target.

    Raises:
        UsageError: It is no URL, a line is no header, or a variable is not set.
    """
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise UsageError("--header takes NAME:VALUE", hint="as in --header 'Authorization: Bearer ${TOKEN}'")
        headers[name.strip()] = value.strip()
    if isinstance(where, HttpTarget):
        return filled(replace(where, headers=checked_headers(headers))), config
    if isinstance(where, str) and isinstance(_named(config, where), HttpTarget):
        named = config.targets[where]
        replaced = {name.lower() for name in headers}
        kept = {name: value for name, value in named.headers.items() if name.lower() not in replaced}
        checked = dict(checked_headers(headers))
        return where, _with_target(config, where, replace(named, headers={**kept, **checked}))
    raise UsageError("--header is for a URL", hint="as in mcp:https://host/mcp")


def tls_options(make: Callable[..., Any]) -> Callable[[Any], Any]:
    """The options of TLS as a decorator."""
    given = (
        make("--tls-ca", type=_FILE, help="Authorities to trust, PEM; else the system's."),
        make("--tls-cert", type=_FILE, help="The certificate to show to the server, PEM."),
        make("--tls-key", type=_FILE, help="Its key, PEM, where that is another file."),
    )

    def decorate(function: Any) -> Any:
        for decorator in reversed(given):
            function = decorator(function)
        return function

    return decorate


def _may_speak_tls(target: Target) -> bool:
    match target:
        case HttpTarget():
            return isinstance(target.address, TlsTarget)
        case ListTarget(targets=targets):
            return any(isinstance(one, TlsTarget) for one in targets)
        case SrvTarget(tls=tls):
            return tls
    # Registered servers say themselves whether they speak TLS.
    return isinstance(target, TlsTarget | ServersetTarget)


def tls_files(
    ca: str | None, cert: str | None, key: str | None, where: Target | str | None, config: Config, *, spawned: bool
) -> TlsFiles | None:
    """The files of the TLS options as given, or None where there are none.

    Raises:
        UsageError: The target speaks no TLS.
    """
    if ca is cert is key is None:
        return None
    target = _named(config, where) if isinstance(where, str) else where
    if spawned or (target is not None and not _may_speak_tls(target)):
        raise UsageError("--tls-ca, --tls-cert and --tls-key are for a target with TLS", hint="write tls://host:port")
    return TlsFiles(ca, cert, key)


def _named(config: Config, name: str) -> Target:
    return config.targets[name].target_among(config.dialects)


def _with_target(config: Config, name: str, target: TargetConfig) -> Config:
    return replace(config, targets={**config.targets, name: target})
