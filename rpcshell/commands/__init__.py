"""The `:commands` of the shell: one module for each group of them, and the registry that knows them all."""

from rpcshell.shell.command import Command, CommandRegistry

__all__ = ["Command", "CommandRegistry", "load_commands"]


def load_commands() -> CommandRegistry:
    """All commands, in the order in which help lists them."""
    from rpcshell.commands import all as all_workers
    from rpcshell.commands import (
        bench,
        connection,
        drills,
        editing,
        guide,
        history,
        lesson,
        logs,
        methods,
        scripting,
        server,
        settings,
        stats,
        supervision,
        top,
        watch,
        why,
        wire,
    )
    from rpcshell.commands.export import command as export

    modules = (
        server,
        supervision,
        top,
        logs,
        drills,
        connection,
        methods,
        watch,
        bench,
        all_workers,
        why,
        wire,
        stats,
        export,
        history,
        scripting,
        settings,
        guide,
        lesson,
        editing,
    )
    return CommandRegistry(value for module in modules for value in vars(module).values() if isinstance(value, Command))
