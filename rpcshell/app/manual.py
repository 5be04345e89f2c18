"""The help of the `rpcshell` command as a page: options in groups, and below them what else there is to know.

What the options do is elsewhere; the texts beside them are in `rpcshell.app.arguments`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.client.folders import config_file, history_file

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ManualCommand", "option"]

_TARGETS: Final = (
    ("host:port, port, [v6]:port", "a TCP address; a port alone is one of this machine"),
    ("unix:/path", "a Unix socket, also as a path with a slash"),
    ("tls://host:port", "a TCP address where the server speaks TLS; it is always verified"),
    ("NAME", "a target of the configuration"),
)
_ENVIRONMENT: Final = (
    ("RPCSHELL_CONFIG", "the configuration file; empty for none"),
    ("RPCSHELL_HISTORY", "the history file; empty for none"),
    ("PAGER", "shows what is longer than the screen"),
    ("VISUAL, EDITOR", "edits lines"),
    ("NO_COLOR", "any value: no colours"),
    ("XDG_CONFIG_HOME, XDG_STATE_HOME", "where the platform's folders are"),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "the authorities that are trusted without --tls-ca"),
)
_EXIT_CODES: Final = (
    ("0", "all went well"),
    ("1", "a server answered with an error"),
    ("2", "wrong usage: an option, a target, a file, or a line that does not parse"),
    ("3", "no connection, a lost one, no reply in time, or a server that did not start"),
    ("130", "interrupted with Ctrl-C; 128 and its number for any other signal"),
    ("141", "whoever read the output has gone"),
)
_EXAMPLES: Final = (
    ("rpcshell --spawn 10", "a prompt, and ten workers of the demo to try"),
    ("rpcshell 8080 -c 'add a=1 b=2'", "one call; its result on standard output"),
    ("rpcshell prod calls.rpc", "the lines of a file, at a target of the configuration"),
    ("rpcshell bench 8080 ping -c 16", "load on a server, and a report; bench --help says more"),
    ("echo now | rpcshell unix:/run/calc.sock", "the lines of a pipe"),
    ("rpcshell tls://rpc.example.org:8443 --tls-ca ca.pem", "an authority of one's own"),
    ("rpcshell --config-reference > config.toml", "a configuration to begin with"),
    ('eval "$(rpcshell --completion bash)"', "Tab for this command, in ~/.bashrc"),
)


class _Option(click.Option):
    """An option that stands under a heading."""

    def __init__(self, *args: Any, group: str = "Other", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


def option(*names: str, group: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator of click for an option that stands under a heading.

    Args:
        names: As click has them.
        group: The heading.
        attributes: As click has them.
    """
    return click.option(*names, cls=_Option, group=group, **attributes)


class ManualCommand(click.Command):
    """A command whose help is a whole page."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group in the order in which they were declared."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Other"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what there is to know beside the options."""
        del ctx
        files = (
            (str(config_file()), "the configuration; --config-reference prints one that explains itself"),
            (str(history_file()), "the history of the prompt"),
        )
        sections = {
            "Targets": _TARGETS,
            "Environment": _ENVIRONMENT,
            "Files": files,
            "Exit codes": _EXIT_CODES,
            "Examples": _EXAMPLES,
        }
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(list(records))
