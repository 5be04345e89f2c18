"""A configuration of the server that explains itself: every setting of a file, with its default, as comments.

It is made from the options of the command, so that it cannot tell of what is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_IN_FILES: Final = frozenset(
    {"check", "completion", "config", "config_reference", "help", "link_fd", "man", "version"}
)
"""What the command line alone can ask for."""

_HEAD: Final = """\
# The settings of rpcserver: `rpcserver --config FILE`, and --check tells whether they can be used.
# Every line is optional: take the # away from what you want to change.
# The command line wins over the environment (RPCSERVER_WORKERS=10), and that over this file.
"""
_EXAMPLES: Final = {
    "advertise": "10.0.0.1:8080",
    "app": "calc.py:service",
    "drain_settle": 0,
    "health": "127.0.0.1:8081",
    "log_file": "/var/log/calc.log",
    "metrics": "127.0.0.1:9100",
    "proxy_protocol": "10.0.0.0/8, unix",
    "register": "zks://127.0.0.1:2281/services/calc",
    "register_ca": "registry-ca.pem",
    "register_cert": "registry-cert.pem",
    "register_credentials": "registry.toml",
    "register_key": "registry-key.pem",
    "tls_cert": "cert.pem",
    "tls_client_ca": "clients-ca.pem",
    "tls_key": "key.pem",
    "workers": 10,
}
"""Values of settings that have no default."""

_APP: Final = "What is served: module:attribute, path/file.py:attribute or path/file.py; a demo, if not given."


def print_reference(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print the text, where that was asked for, and leave."""
    del param
    if wanted and not ctx.resilient_parsing:
        click.echo(config_reference(ctx.command), nl=False)
        ctx.exit()


def config_reference(command: click.Command) -> str:
    """The text, which is a configuration without any effect."""
    return "\n".join([_HEAD, *_lines(command), ""])


def _lines(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    group = ""
    for parameter in command.params:
        name = parameter.name or ""
        if name in NOT_IN_FILES:
            continue
        heading = getattr(parameter, "group", group)
        if heading != group:
            yield f"\n# # {heading}"
            group = heading
        about = (parameter.help or "") if isinstance(parameter, click.Option) else _APP
        choices = parameter.type.choices if isinstance(parameter.type, click.Choice) else ()
        yield f"# # {about} ({', '.join(map(str, choices))})" if choices else f"# # {about}"
        default = parameter.get_default(context, call=True)
        # Of click an option without a default has a mark of its own, and not always None.
        plain = isinstance(default, bool | int | float | str | list | tuple)
        value = _EXAMPLES[name] if name in _EXAMPLES or not plain else default
        yield f"# {name.replace('_', '-')} = {msgspec.json.encode(value).decode()}"
