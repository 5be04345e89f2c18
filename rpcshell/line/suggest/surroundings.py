"""What a shell knows beside the line being typed: methods, commands, settings, variables and the like.

What a `:command` takes is data here: enough to complete and explain it without the library that runs it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from rpcshell.line.catalog import EMPTY_CATALOG, Catalog
from rpcshell.line.language import CallLine, CommandLine, Line, ValueLine
from rpcshell.line.reply_values import ReplyValues
from rpcshell.line.suggest.names import PathChoice, list_paths

ValueKind = Literal[
    "text",
    "int",
    "path",
    "target",
    "method",
    "command",
    "choice",
    "setting",
    "setting_value",
    "variable",
    "alias",
    "call",
    "worker",
    "event",
]
"""What a word is; a `setting_value` is one of the setting named by the word before it, a `call` a whole line."""


class OptionSpec(msgspec.Struct, frozen=True):
    """An option of a command; names have their dashes. The usage calls its value `metavar`, or else by its kind."""

    names: tuple[str, ...]
    help: str = ""
    takes_value: bool = False
    metavar: str = ""
    choices: tuple[str, ...] = ()
    kind: ValueKind = "text"
    multiple: bool = False


class ArgumentSpec(msgspec.Struct, frozen=True):
    """A positional argument of a command. `many` means that it takes all words that are left."""

    name: str
    kind: ValueKind = "text"
    choices: tuple[str, ...] = ()
    required: bool = True
    many: bool = False


class CommandSpec(msgspec.Struct, frozen=True):
    """A command: its name without the colon, one line on it, its options, its arguments in order, and other names.

    A name of two words is that of one of several kinds of a command, such as `drill kill` of `drill`. The group is the
    heading that it stands under.
    """

    name: str
    summary: str = ""
    options: tuple[OptionSpec, ...] = ()
    arguments: tuple[ArgumentSpec, ...] = ()
    aliases: tuple[str, ...] = ()
    group: str = ""

    @property
    def usage(self) -> str:
        """How it is called, in one line: `:spawn [--workers N] [APP]`."""
        parts = [f":{self.name}"]
        parts += [f"[{_option_usage(option)}]" for option in self.options]
        parts += [_argument_usage(argument) for argument in self.arguments]
        return " ".join(parts)

    @property
    def outline(self) -> str:
        """How it is called, in fewer words: `:spawn [APP]`."""
        arguments = [argument.name if argument.required else f"[{argument.name}]" for argument in self.arguments]
        return " ".join((f":{self.name}", *(argument.upper() for argument in arguments)))

    def option(self, name: str) -> OptionSpec | None:
        """The option with this spelling."""
        return next((option for option in self.options if name in option.names), None)


def _option_usage(option: OptionSpec) -> str:
    name = max(option.names, key=len, default="")
    if not option.takes_value:
        return name
    value = "|".join(option.choices) if option.choices else option.metavar or option.kind.upper()
    return f"{name} {value}"


def _argument_usage(argument: ArgumentSpec) -> str:
    name = "|".join(argument.choices) if argument.choices else argument.name.upper()
    name = f"{name}…" if argument.many else name
    return name if argument.required else f"[{name}]"


class ValueQuestion(NamedTuple):
    """What a parameter may be that begins as typed; the `others` are texts and keywords that are given already."""

    method: str
    param: str
    typed: str
    others: tuple[tuple[str, str | bool | None], ...]


class _KnownSetting(Protocol):
    @property
    def help(self) -> str: ...


class _KnownSettings(Protocol):
    """The settings of the shell, as far as completion needs them: values and choices are texts as they are typed."""

    @property
    def names(self) -> Sequence[str]: ...
    def setting(self, name: str) -> _KnownSetting: ...
    def text(self, name: str) -> str: ...
    def choices(self, name: str) -> Sequence[str]: ...


class Surroundings(msgspec.Struct, frozen=True):
    """What a line can refer to at one time.

    Targets are what `:connect` may be given, dialects what may stand before an address as far as it is typed. Workers
    are numbers, events names, with what to say of each. Variables have no dollar sign; the ones `to_come` are set by
    lines that run before this one.
    """

    catalog: Catalog = EMPTY_CATALOG
    commands: Sequence[CommandSpec] = ()
    targets: Callable[[], Sequence[str]] = tuple
    dialects: Callable[[str], Sequence[str]] = lambda _typed: ()
    workers: Callable[[], Sequence[tuple[str, str]]] = tuple
    events: Callable[[], Sequence[tuple[str, str]]] = tuple
    variables: Mapping[str, Any] = {}
    to_come: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = {}
    settings: _KnownSettings | None = None
    reply_values: ReplyValues | None = None
    paths: Callable[[str], Iterable[PathChoice]] = list_paths
    server_values: Callable[[ValueQuestion], Sequence[str]] = lambda _question: ()

    def command(self, name: str) -> CommandSpec | None:
        """The command of a name or alias."""
        return next((spec for spec in self.commands if name in (spec.name, *spec.aliases)), None)

    def after(self, line: Line) -> "Surroundings":
        """What the next line can refer to, as far as it can be known before this one has run."""
        match line.body:
            case CommandLine():
                # It may lead to another server.
                return replace(self, catalog=EMPTY_CATALOG)
            case CallLine(assignment=assignment) | ValueLine(assignment=assignment):
                to_come = self.to_come | {"_"} | ({assignment.name} if assignment else set())
                known = {name: value for name, value in self.variables.items() if name not in to_come}
                return replace(self, variables=known, to_come=to_come)
        return self
