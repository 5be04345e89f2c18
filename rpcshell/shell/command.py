"""What a command is, the decorator that makes one, and the registry that finds it by name.

A command owns everything about it: its options (click), its help, what completes it, and what it does. Those that there
are stand in `rpcshell.commands`.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol, Required, TypedDict, Unpack

import click
import msgspec

from rpcshell.client.errors import UsageError
from rpcshell.line.language import CommandLine, parse
from rpcshell.line.near_names import near_names
from rpcshell.line.suggest import ArgumentSpec, CommandSpec, OptionSpec, inner_call, options_behind
from rpcshell.shell.terminal import columns_of_terminal
from rpcshell.view.help_page import HelpPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rpcshell.line.suggest import ValueKind
    from rpcshell.shell.output import Output

_WIDTH: Final = 80
_MOVED: Final = {"time": ":set time on, or off, does that"}
"""What to type in the place of commands that are no more."""

_FOLLOW: Final = frozenset({"-f", "--follow", "-w", "--watch"})
_LIVE: Final = {"workers": ":top shows them all the time", "stats": ":top shows what workers do all the time"}
"""What follows what a command shows once."""

_CHILD: Final = re.compile(r"(?:[a-z][\w+-]*:)?exec:")


# Generic since click 8.5; what it was before takes no parameters at run time.
if TYPE_CHECKING:
    _TextType = click.ParamType[str]
else:
    _TextType = click.ParamType


class KindOfWord(_TextType):
    """A parameter that is a plain text to the command, and something that can be completed to the prompt."""

    def __init__(self, kind: ValueKind) -> None:
        self.name = kind
        self.kind: ValueKind = kind


class Seconds(click.FloatRange):
    """A number of seconds, which an error calls that."""

    name = "number of seconds"


TARGET: Final = KindOfWord("target")
METHOD: Final = KindOfWord("method")
COMMAND: Final = KindOfWord("command")
WORKER: Final = KindOfWord("worker")
EVENT: Final = KindOfWord("event")
CALL: Final = KindOfWord("call")
"""All that is left of the line, exactly as typed; for the last argument, with `nargs=-1`."""


def worker_number(word: str) -> int:
    """The number of a worker, as it was typed; raises `UsageError` where it is none."""
    if not word.isdecimal() or not int(word):
        raise UsageError(f"a worker is named by its number, not {word!r}", hint=":workers lists them")
    return int(word)


class CommandHost(Protocol):
    """The shell, as far as any command needs it; each knows what else its own function takes."""

    @property
    def output(self) -> Output:
        """Where texts are shown."""

    def rest(self, number: int) -> str:
        """The command line from one of its words on, as it was typed."""


class Command(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """A `:command` of the shell."""

    name: str
    """Without the colon."""
    definition: click.Command
    handler: Callable[..., None]
    group: str
    """The heading it stands under in the list of commands."""
    aliases: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    """Names that it had, which go on to work and are told nowhere."""
    examples: tuple[str, ...] = ()
    """Lines that can be typed as they are."""
    verbatim: bool = False
    """A `| command` or `> file` at the end of its line is a part of its call, and not for its own text."""

    @property
    def summary(self) -> str:
        """One line on it."""
        return self.definition.get_short_help_str(limit=_WIDTH)

    @cached_property
    def spec(self) -> CommandSpec:
        """What it takes, for completion and hints."""
        options = tuple(_option(param) for param in self.definition.params if isinstance(param, click.Option))
        arguments = tuple(_argument(param) for param in self.definition.params if isinstance(param, click.Argument))
        names = (*self.aliases, *self.former)
        return CommandSpec(self.name, self.summary, options, arguments, names, self.group)

    def help(self, width: int | None = None) -> str:
        """How to use it, in so many columns; those of the terminal, up to 80, if not given."""
        formatter = click.HelpFormatter(width=width or min(columns_of_terminal(), _WIDTH))
        context = click.Context(self.definition, info_name=f":{self.name}")
        self.definition.format_help(context, formatter)
        return formatter.getvalue().rstrip("\n")

    def run(self, shell: CommandHost, line: CommandLine) -> None:
        """Run it with the words of a line that follow its name.

        Raises:
            UsageError: The words are not what it takes.
            ShellError, Leave: What the command raised.
        """
        start = inner_call(line, self.spec)
        own = [word.text for word in line.words if start is None or word.start < start]
        inner = [word.text for word in line.words[len(own) :]]
        if any(word in {"-h", "--help"} for word in own):
            shell.output.text(self.help())
            return
        text = shell.rest(len(own)) if inner else ""
        behind = options_behind(text, self.spec)
        own = _options_over(own + _words(text[behind:]))
        try:
            # What belongs to the call are no options of the command's.
            params = self.definition.make_context(f":{self.name}", [*own, "--", *inner] if inner else own).params
        except click.ClickException as error:
            hint = meant_choice(error) or self._live(error) or f"usage: {self.spec.usage}"
            raise UsageError(_sentence(problem_of(error)), hint=hint) from error
        if inner:
            params.update({param.name: text[:behind] for param in self.definition.params if param.type is CALL})
        self.handler(shell, **params)

    def _live(self, error: click.ClickException) -> str | None:
        follows = isinstance(error, click.NoSuchOption) and error.option_name in _FOLLOW
        return _LIVE.get(self.name) if follows else None


class _About(TypedDict, total=False):
    group: Required[str]
    aliases: tuple[str, ...]
    former: tuple[str, ...]
    examples: tuple[str, ...]
    verbatim: bool


def command(name: str, **about: Unpack[_About]) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function, stacked on click's decorators, which gets the shell and its parameters by name.

    Its docstring is the command's help. What else is given is what a `Command` has.
    """

    def decorate(handler: Callable[..., None]) -> Command:
        sections = {}
        if aliases := about.get("aliases"):
            sections["Also called"] = [", ".join(f":{alias}" for alias in aliases)]
        if examples := about.get("examples"):
            sections["Examples"] = list(examples)
        definition = click.command(name, cls=HelpPage, add_help_option=False, sections=lambda: sections)(handler)
        has_options = any(isinstance(param, click.Option) for param in definition.params)
        definition.options_metavar = "[options]" if has_options else None
        return Command(name=name, definition=definition, handler=handler, **about)

    return decorate


def problem_of(error: click.ClickException) -> str:
    """What click says is wrong, without its names of types and the brackets of optional arguments."""
    if isinstance(error, click.BadParameter) and error.ctx is not None:
        param = error.param
        if isinstance(param, click.Argument) and not param.required:
            error.param_hint = param.get_error_hint(error.ctx).replace("[", "").replace("]", "")
    return error.format_message().replace("valid integer range", "whole number").replace("valid float range", "number")


def meant_choice(error: click.ClickException) -> str | None:
    """The question whether another choice of an argument or option was meant, where one is like what was given."""
    if not isinstance(error, click.BadParameter) or error.param is None:
        return None
    wrong = re.match(r"'(.*)' is not one of", error.message)
    near = near_names(wrong[1].lower(), _choices(error.param)) if wrong else []
    return f"did you mean {near[0]}?" if near else None


class CommandRegistry:
    """The commands of a shell, in the order of their groups and, in a group, of their importance."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self._by_name: dict[str, Command] = {}
        self._commands = tuple(commands)
        for command in self._commands:
            for name in (command.name, *command.aliases, *command.former):
                if name in self._by_name:
                    raise ValueError(f"two commands are called :{name}")
                self._by_name[name] = command

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands)

    @cached_property
    def specs(self) -> tuple[CommandSpec, ...]:
        """What all of them take, for completion and hints; aliases are not suggested."""
        return tuple(command.spec for command in self._commands)

    @cached_property
    def groups(self) -> dict[str, list[Command]]:
        """The commands by group, in order."""
        groups: dict[str, list[Command]] = {}
        for command in self._commands:
            groups.setdefault(command.group, []).append(command)
        return groups

    def find(self, name: str) -> Command | None:
        """The command of a name or alias."""
        return self._by_name.get(name)

    def resolve(self, name: str) -> Command:
        """The command of a name or alias; raises `UsageError`, with near names, where there is none."""
        if (found := self._by_name.get(name)) is not None:
            return found
        if not name:
            raise UsageError("a command has a name", hint=":help lists them")
        near = near_names(name.lower(), self._by_name, 2)
        near = near or [known for known in self._by_name if known.startswith(name.lower())][:2]
        # Those that were found by a former name are told by the present one.
        near = list(dict.fromkeys(self._by_name[known].name for known in near))
        hint = f"did you mean {' or '.join(f':{known}' for known in near)}?" if near else ":help lists them"
        raise UsageError(f"no command is called :{name}", hint=_MOVED.get(name, hint))


def _option(param: click.Option) -> OptionSpec:
    return OptionSpec(
        names=(*param.opts, *param.secondary_opts),
        help=(param.help or "").partition("\n")[0],
        takes_value=not param.is_flag,
        metavar=param.metavar or "",
        choices=_choices(param),
        kind=_kind(param),
        multiple=param.multiple,
    )


def _argument(param: click.Argument) -> ArgumentSpec:
    return ArgumentSpec(
        name=(param.metavar or param.name or "").strip("[]"),
        kind=_kind(param),
        choices=_choices(param),
        required=param.required,
        many=param.nargs == -1 and _kind(param) != "call",
    )


def _choices(param: click.Parameter) -> tuple[str, ...]:
    return tuple(param.type.choices) if isinstance(param.type, click.Choice) else ()


def _kind(param: click.Parameter) -> ValueKind:
    match param.type:
        case KindOfWord(kind=kind):
            return kind
        case click.Choice():
            return "choice"
        case click.Path():
            return "path"
    return "int" if isinstance(param.type, click.IntRange | type(click.INT)) else "text"


def _options_over(words: list[str]) -> list[str]:
    """The words with a `--` before the command of a child, whose options are none of this one's."""
    for at, word in enumerate(words):
        if word == "--":
            break
        if _CHILD.match(word):
            return [*words[:at], "--", *words[at:]]
    return words


def _words(text: str) -> list[str]:
    body = parse(f":_ {text}").body
    return [word.text for word in body.words] if isinstance(body, CommandLine) else []


def _sentence(message: str) -> str:
    text = " ".join(message.split())
    return text[:1].lower() + text[1:].rstrip(".")
