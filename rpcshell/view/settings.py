"""What can be set while the shell runs: the settings, their types, their defaults, and who is told of a change.

How a setting is typed is `:set`'s business, where one is kept between runs the configuration's, and what one does
that of whoever reads it. Nothing is imported here but the errors: every run has settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from rpcshell.client.errors import UsageError
from rpcshell.line.near_names import near_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_ON_OFF: Final = ("on", "off")
FORMATS: Final = ("auto", "json", "table", "raw")
_PLAIN_THEMES: Final = ("auto", "light", "dark")

_ON: Final = {"on", "true", "yes", "1"}
_OFF: Final = {"off", "false", "no", "0"}
_MOST_CHOICES_LISTED: Final = 8
_LARGEST_INDENT: Final = 8
_LONGEST_TIMEOUT: Final = 1_000_000
"""Seconds; more milliseconds than poll(2) takes would be too many."""


class Setting(NamedTuple):
    """A setting as it stands, in texts as `:set` reads them."""

    name: str
    value: str
    default: str
    help: str
    choices: tuple[str, ...]
    """Some of them where it is a number, which takes others too."""

    is_number: bool


_HELP: Final = {
    "format": "results as JSON, as tables, or the bare value",
    "indent": "columns by which nested JSON is indented",
    "max_rows": "rows of a table; 0 shows all",
    "time": "tell how long a call took, and the server's part",
    "meta": "tell which worker answered",
    "pager": "show in $PAGER what is longer than the screen",
    "timeout": "seconds that a call may take",
    "theme": "colours for the terminal's background, or another set",
    "editing": "keys of the prompt",
    "suggestions": "suggest lines of the history while typing",
    "doc": "explain the selected method beside the menu",
}
_NUMBERS: Final = {"indent", "max_rows", "timeout"}
_SAMPLES: Final = {
    "indent": ("2", "4"),
    "max_rows": ("0", "100", "1000"),
    "timeout": ("none", "5", "30"),
    "editing": ("emacs", "vi"),
    "format": FORMATS,
}


class Settings:
    """The settings of a run; a script's results alone are shown unless it says otherwise.

    Each method that takes the name of a setting raises `UsageError` where there is none.
    """

    format: Literal["auto", "json", "table", "raw"] = "auto"
    """How results are shown; "auto" is JSON."""

    indent: int = 2
    max_rows: int = 1000
    """Rows of a table, or 0 for all."""

    time: bool
    meta: bool
    pager: bool = True
    timeout: float | None = None
    """Seconds for a call, or None for no limit."""

    theme: str = "auto"
    """One of the plain themes, or a pygments style."""

    editing: Literal["emacs", "vi"] = "emacs"
    suggestions: bool = True
    doc: bool = True

    def __init__(self, *, script: bool = False, file: Path | None = None) -> None:
        self.time = self.meta = not script
        self._themes: Callable[[], Sequence[str]] | None = None
        self._watchers: list[Callable[[str], None]] = []
        self._defaults = {name: self.text(name) for name in _HELP}
        self.file: Final = file
        """Where they can be kept; None where there is no such file."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all settings, in the order in which they are listed."""
        return tuple(_HELP)

    def set(self, name: str, value: str | float) -> None:
        """Give a setting another value: a text such as `on` or `2.5`, or itself, as configuration files have it.

        Raises `UsageError` where it has no such value.
        """
        self._known(name)
        text = ("on" if value else "off") if isinstance(value, bool) else str(value).strip()
        former = getattr(self, name)
        new = self._read(name, text)
        if new != former:
            setattr(self, name, new)
            for callback in self._watchers:
                callback(name)

    def reset(self, name: str) -> None:
        """Give a setting its default."""
        self._known(name)
        self.set(name, self._defaults[name])

    def text(self, name: str) -> str:
        """A setting's value as `set` reads it."""
        self._known(name)
        value = getattr(self, name)
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, float):
            return str(value).removesuffix(".0")
        return "none" if value is None else str(value)

    def offer_themes(self, names: Callable[[], Sequence[str]]) -> None:
        """Have only these styles be themes, and the plain ones; where nobody draws, any name will do."""
        self._themes = names

    def choices(self, name: str) -> tuple[str, ...]:
        """The values of a setting; some of them where it is a number."""
        self._known(name)
        if name == "theme":
            return (*_PLAIN_THEMES, *(self._themes() if self._themes is not None else ()))
        return _SAMPLES.get(name, _ON_OFF)

    def setting(self, name: str) -> Setting:
        """One setting as it stands."""
        return Setting(name, self.text(name), self._defaults[name], _HELP[name], self.choices(name), name in _NUMBERS)

    def items(self) -> Iterator[Setting]:
        """All settings, in order."""
        return map(self.setting, _HELP)

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Have `callback` called with the name of a setting whenever its value has changed."""
        self._watchers.append(callback)

    def _known(self, name: str) -> None:
        if name in _HELP:
            return
        near = _near(name.lower().replace("-", "_"), _HELP)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(_HELP)}"
        raise UsageError(f"there is no setting {name!r}", hint=hint)

    def _read(self, name: str, text: str) -> object:
        match name:
            case "indent":
                return _number(name, text, _LARGEST_INDENT)
            case "max_rows":
                return _number(name, text, None)
            case "timeout":
                return _seconds(text)
            case "theme" if text in _PLAIN_THEMES or (self._themes is None and text):
                return text
            case "theme":
                return _choice(name, text, self.choices(name))
            case "format" | "editing":
                return _choice(name, text.lower(), self.choices(name))
            case _:
                return _switch(name, text.lower())


def _choice(name: str, text: str, choices: Sequence[str]) -> str:
    if text in choices:
        return text
    if len(choices) <= _MOST_CHOICES_LISTED:
        raise UsageError(f"{name} cannot be {text!r}", hint=f"it is {', '.join(choices[:-1])} or {choices[-1]}")
    near = _near(text, choices)
    raise UsageError(f"{name} cannot be {text!r}", hint=f"did you mean {near}?" if near else f":set {name} lists them")


def _switch(name: str, text: str) -> bool:
    return text in _ON or (text not in _OFF and _choice(name, text, _ON_OFF) == "on")


def _number(name: str, text: str, highest: int | None) -> int:
    # Python reads more than digits here, and numbers that are too long to be meant.
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if number >= 0 and (highest is None or number <= highest):
        return number
    limits = "of at least 0" if highest is None else f"from 0 to {highest}"
    raise UsageError(f"{name} cannot be {text!r}", hint=f"it is a whole number {limits}")


def _seconds(text: str) -> float | None:
    if text.lower() in {"none", *_OFF}:
        return None
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if 0 < seconds <= _LONGEST_TIMEOUT:
        return seconds
    raise UsageError(f"timeout cannot be {text!r}", hint="it is a number of seconds above 0, or none")


def _near(text: str, known: Iterable[str]) -> str | None:
    found = near_names(text, known, nearness=0.5)
    return found[0] if found else None
