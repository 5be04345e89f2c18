"""Commands about lines themselves: files of them, names for them, and the variables they fill."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from rpcshell.client.errors import ShellError, UsageError
from rpcshell.commands.groups import SCRIPT
from rpcshell.line.masking import mask_line
from rpcshell.line.secrets import is_secret
from rpcshell.servers.folders import user_path
from rpcshell.shell.command import CALL, KindOfWord, command
from rpcshell.shell.statements import read_statements
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell

_ALIAS: Final = re.compile(
    r"""(?P<name>:?[^\s:{}\[\]<>"'=|$#,][^\s{}\[\]<>"'=|]*)(?:\s*=\s*|\s+|$)(?P<line>.*)""", re.DOTALL
)
_PREVIEW: Final = 60
_KEYS_SHOWN: Final = 6


@command("source", group=SCRIPT, examples=(":source calls.rpc", ":source ~/setup.rpc"))
@click.argument("file", type=KindOfWord("path"))
def source(shell: Shell, *, file: str) -> None:
    """Run the lines of a FILE, until one fails.

    The file holds what can be typed: calls, commands, variables, comments. What it sets is there afterwards.
    """
    path = user_path(file)
    place = path.resolve()
    if place in shell.sources:
        raise UsageError(f"{visible(file)} is being read already: it would read itself without end")
    inner = shell.derived(sources=(*shell.sources, place))
    try:
        with path.open("rb") as lines:
            for statement in read_statements(lines, file):
                try:
                    inner.execute(statement.text)
                except ShellError:
                    shell.output.note(f"{statement.place}: the rest was not run, because of this:")
                    raise
    except OSError as error:
        raise UsageError(f"cannot read {visible(file)}: {error.strerror}") from error


@command("vars", group=SCRIPT, examples=(":vars", "o = order.get id=1", "echo text=$o.customer"))
@click.option("--clear", is_flag=True, help="Forget all of them.")
def list_variables(shell: Shell, *, clear: bool) -> None:
    """List the variables; $_ is the last result.

    A line such as `o = order.get id=1` makes one. $o, $o.total and $o.items[0] stand for what is in it, in params and
    in texts with a dollar sign in front: $"For ${o.customer}". A line that is only $o shows it.
    """
    variables = shell.variables
    if clear:
        variables.clear()
        return
    if not variables:
        shell.output.text("no variables yet; NAME = METHOD … keeps a result, and $_ is the last one")
        return
    width = max(len(name) for name in variables) + 1
    shell.output.text("\n".join(f"{'$' + name:<{width}}  {_preview(name, variables[name])}" for name in variables))


@command(
    "alias", group=SCRIPT, examples=(":alias", ":alias first order.get id=1", ":alias first --remove"), verbatim=True
)
@click.argument("name", type=KindOfWord("alias"), required=False)
@click.argument("line", type=CALL, nargs=-1)
@click.option("-d", "--remove", is_flag=True, help="Forget the alias.")
def alias(shell: Shell, *, name: str | None, line: str | None, remove: bool) -> None:
    """Give a LINE, or the beginning of one, a short name.

    Without a LINE the one that NAME stands for is shown, without a NAME all. Aliases that are to stay belong into the
    configuration file, under [aliases].
    """
    aliases = shell.aliases
    if name is None:
        shell.output.text(_listed(shell, aliases) if aliases else "no aliases yet; :alias NAME LINE makes one")
        return
    if remove:
        if aliases.pop(name, None) is None:
            raise UsageError(f"no alias is called {visible(name)}", hint=":alias lists them")
        return
    # The line as it was typed: its quotes are those of the language, not of a command.
    if (found := _ALIAS.fullmatch(shell.rest(0).rstrip())) is None:
        raise UsageError(
            f"{visible(name)} cannot be the name of an alias", hint="it is one word without brackets, quotes or ="
        )
    name, meaning = found["name"], found["line"]
    if not meaning:
        if name not in aliases:
            raise UsageError(f"no alias is called {visible(name)}", hint=":alias lists them")
        shell.output.text(_listed(shell, {name: aliases[name]}))
        return
    aliases[name] = meaning
    if name in shell.session.catalog.methods:
        shell.output.note(f'there is a method of this name too; "{name}" in quotes calls it')


def _listed(shell: Shell, aliases: dict[str, str]) -> str:
    width = max(map(len, aliases))
    return "\n".join(
        f"{visible(name):<{width}}  {visible(mask_line(aliases[name], shell.known))}" for name in sorted(aliases)
    )


def _preview(name: str, value: Any) -> str:
    """What kind of value a variable has, and the beginning of it; never more work than that, however large it is."""
    if isinstance(value, dict):
        keys = ", ".join(visible(str(key))[:_PREVIEW] for key in list(value)[:_KEYS_SHOWN])
        return f"object  {keys}{', …' if len(value) > _KEYS_SHOWN else ''}".rstrip()
    if isinstance(value, list):
        return f"array   {count_of(len(value), 'item')}"
    if value is None:
        return "null"
    kind = {str: "string", bool: "boolean"}.get(type(value), "number")
    if is_secret(name):
        return f"{kind:<6}  ***"
    shown = compact(value[: _PREVIEW + 1] if isinstance(value, str) else value)
    return f"{kind:<6}  {shown if len(shown) <= _PREVIEW else shown[:_PREVIEW] + '…'}"
