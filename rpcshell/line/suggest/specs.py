"""What a `:command` takes, as data: enough to complete and explain it without the library that runs it."""

from dataclasses import dataclass
from typing import Literal

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
]
"""What a word is; a `setting_value` is one of the setting named by the word before it, a `call` a whole line."""


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """An option of a command.

    Attributes:
        names: All its spellings, dashes included: `("-w", "--workers")`.
        help: One line.
        takes_value: It is followed by a value; otherwise it is a flag.
        metavar: What the usage line calls the value; its kind, if empty.
        choices: The values, where they are a fixed set.
        kind: What the value is.
        multiple: It may be given more than once.
    """

    names: tuple[str, ...]
    help: str = ""
    takes_value: bool = False
    metavar: str = ""
    choices: tuple[str, ...] = ()
    kind: ValueKind = "text"
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class ArgumentSpec:
    """A positional argument of a command.

    Attributes:
        name: As the usage line shows it.
        kind: What the value is.
        choices: The values, where they are a fixed set.
        required: It has to be there.
        many: It takes all words that are left.
    """

    name: str
    kind: ValueKind = "text"
    choices: tuple[str, ...] = ()
    required: bool = True
    many: bool = False


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command: its name without the colon, one line on it, its options, its arguments in order, and other names."""

    name: str
    summary: str = ""
    options: tuple[OptionSpec, ...] = ()
    arguments: tuple[ArgumentSpec, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """How it is called, in one line: `:spawn [--workers N] [APP]`."""
        parts = [f":{self.name}"]
        parts += [f"[{_option_usage(option)}]" for option in self.options]
        parts += [_argument_usage(argument) for argument in self.arguments]
        return " ".join(parts)

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
