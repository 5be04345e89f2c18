"""The command that says how things are shown and typed: `:set`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import UsageError
from rpcshell.commands.groups import SHELL
from rpcshell.shell.command import KindOfWord, command
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from rpcshell.shell.shell import Shell
    from rpcshell.view.settings import Setting

_NARROWEST: Final = 16
"""Columns that are filled however narrow the screen is."""


@command(
    "set",
    group=SHELL,
    examples=(":set", ":set format table", ":set timeout 5", ":set theme monokai --save", ":set pager --default"),
)
@click.argument("name", type=KindOfWord("setting"), required=False)
@click.argument("value", type=KindOfWord("setting_value"), required=False)
@click.option("--default", "reset", is_flag=True, help="Go back to what the setting begins with.")
@click.option("--save", is_flag=True, help="Write it, or all of them, into the configuration.")
def set_(shell: Shell, *, name: str | None, value: str | None, reset: bool, save: bool) -> None:
    """Show or change the settings.

    Without a NAME all of them, with a NAME and no VALUE that one. A change holds until the shell is left, and with
    --save from then on: the rest of the configuration stays as it is written.

    Of a call's times the first is what passed here between the request and its reply; `server` is how long the method
    ran, and `waiting` the rest: the network, and the queue before the worker.
    """
    settings = shell.settings
    if name is None:
        if reset:
            for each in settings.names:
                settings.reset(each)
            _tell(shell, "all settings are back to what they begin with")
        elif not save:
            shell.output.text(_listed(list(settings.items())))
        if save:
            _save(shell, list(settings.items()))
        return
    # `:set time=off` and `:set max-rows 5` are what is meant.
    name, equals, rest = name.partition("=")
    name = name.lower().replace("-", "_")
    value = value if value is not None else rest if equals else None
    if reset:
        settings.reset(name)
    elif value is not None:
        settings.set(name, value)
    elif not save:
        shell.output.text(_described(settings.setting(name)))
        return
    _tell(shell, f"{name} is {settings.text(name)}")
    if save:
        # What it begins with is kept as well, where that was asked for.
        _save(shell, [settings.setting(name)._replace(default="")])


def _save(shell: Shell, settings: list[Setting]) -> None:
    from rpcshell.shell.config_writing import save_settings

    if (file := shell.settings.file) is None:
        raise UsageError("there is no configuration to keep settings in", hint="RPCSHELL_CONFIG may say where it is")
    names = save_settings(file, settings)
    _tell(shell, f"{', '.join(names) or 'nothing'} written into {visible(str(file))}")


def _tell(shell: Shell, change: str) -> None:
    # A script that sets something does not want to hear of it.
    if shell.interactive:
        shell.output.note(change)


def _listed(settings: list[Setting]) -> str:
    """A line for each setting, with a star where it is not what it begins with."""
    rows = [(each.name, each.value + ("" if each.value == each.default else " *"), each.help) for each in settings]
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    margin = names + values + 4
    lines = []
    for name, value, help_ in rows:
        first, *rest = _wrapped(help_, margin)
        lines += [f"{name:<{names}}  {value:<{values}}  {first}", *(" " * margin + line for line in rest)]
    star = "* is not what it begins with; " if any(row[1].endswith("*") for row in rows) else ""
    return "\n".join([*lines, *_wrapped(f"{star}:set NAME says what it can be, :set NAME VALUE changes it")])


def _described(setting: Setting) -> str:
    can_be = "it can be any number, such as" if setting.is_number else "it can be"
    sentences = [f"{setting.name} is {setting.value}: {setting.help}", f"{can_be} {', '.join(setting.choices)}"]
    if setting.value != setting.default:
        sentences.append(f"it begins as {setting.default}")
    return "\n".join(line for sentence in sentences for line in _wrapped(sentence))


def _wrapped(text: str, margin: int = 0) -> list[str]:
    columns = columns_of_terminal() - 1 - margin
    return textwrap.wrap(text, max(columns, _NARROWEST), break_on_hyphens=False)
