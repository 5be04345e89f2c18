"""The `:commands` of the shell: the modules that hold them, and the registry that knows them all.

A new command is a function of one of these modules with the decorator `command`.
"""

from typing import Final

from rpcshell.shell.command import Command, CommandRegistry

__all__ = ["Command", "CommandRegistry", "load_commands"]

_GROUPS: Final = ("Server", "Drills", "Connection", "Methods", "Calls", "Shell")
"""The headings of help, in order."""


def load_commands() -> CommandRegistry:
    """All commands, in the order in which help lists them."""
    from rpcshell.commands import all as all_workers
    from rpcshell.commands import (
        drills,
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

    modules = (
        server,  # spawn stop workers servers attach connect disconnect
        top,
        logs,
        drills,  # kill freeze reload scale hold slow flood
        methods,  # methods doc
        repeat,  # watch bench
        all_workers,
        events,  # events wait
        lsp,
        why,  # why wire
        stats,
        export,
        history,
        lines,  # source vars alias
        settings,  # set time
        guide,  # help quit lesson edit
    )
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Command)]
    return CommandRegistry(sorted(found, key=lambda command: _GROUPS.index(command.group)))
