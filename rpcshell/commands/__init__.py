"""The `:commands` of the shell: the modules that hold them, and the registry that knows them all.

A new command is a function of one of these modules with the decorator `command`.
"""

from rpcshell.commands import (
    drills,
    each,
    events,
    guide,
    history,
    lines,
    logs,
    lsp,
    methods,
    repeat,
    server,
    settings,
    stats,
    top,
    why,
)
from rpcshell.commands.export import command as export
from rpcshell.commands.groups import GROUPS
from rpcshell.shell.command import Command, CommandRegistry

__all__ = ["Command", "CommandRegistry", "load_commands"]


def load_commands() -> CommandRegistry:
    """All commands, in the order in which help lists them."""
    modules = (
        server,  # spawn stop workers servers connect disconnect
        methods,  # methods doc
        why,  # why wire
        top,
        logs,
        drills,  # drill reload scale
        repeat,  # watch bench
        each,
        events,  # events wait
        lsp,
        history,
        stats,
        lines,  # source vars alias
        export,
        guide,  # help quit lesson edit
        settings,  # set version
    )
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Command)]
    return CommandRegistry(sorted(found, key=lambda command: GROUPS.index(command.group)))
