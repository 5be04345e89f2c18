"""What the texts of a lesson consist of. Each language has a module of its own."""

from __future__ import annotations

import msgspec


class Try(msgspec.Struct, frozen=True):
    """A line of the shell, as it is typed, that shows what a step showed."""

    line: str
    shows: str = ""


class StepText(msgspec.Struct, frozen=True):
    """What one step says. Texts with figures have places for them as in `str.format`; `time` formats seconds."""

    title: str
    about: str
    """Two lines on a screen of 80 columns."""
    moments: dict[str, str]
    """What happens, by the names that the step gives it."""
    so: str
    """What follows, in one line."""
    tries: tuple[Try, ...]
    """How to see the same without the lesson."""


class Words(msgspec.Struct, frozen=True):
    """The short texts round the steps."""

    workers: str
    """Stands, as `queue` and `took` do, before a row that is drawn."""
    queue: str
    took: str
    idle: str
    """How many workers there are of a kind, as the next ones say."""
    held: str
    busy: str
    connections: str
    starting: str
    try_it: str
    keys: str
    """What keys do after a step; `following` names the next one."""
    last_keys: str
    following: str
    left: str
    """The lesson was left before its end."""
    over: str


class ModelColumn(msgspec.Struct, frozen=True):
    """A column of the last table, and what the figures in it mean."""

    title: str
    meaning: str = ""


class Texts(msgspec.Struct, frozen=True):
    """All texts in a language: those of the steps by their names, and those of the table's columns by theirs."""

    steps: dict[str, StepText]
    words: Words
    columns: dict[str, ModelColumn]
