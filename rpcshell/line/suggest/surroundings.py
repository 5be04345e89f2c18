"""What a shell knows beside the line and the methods of its target, as completion needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from rpcshell.line.suggest.paths import PathChoice, list_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rpcshell.line.reply_values import LearntValues


class KnownSetting(Protocol):
    """What completion says of a setting."""

    @property
    def help(self) -> str:
        """What it is for, in a few words."""


class KnownSettings(Protocol):
    """The settings of the shell, as far as completion needs them."""

    @property
    def names(self) -> Sequence[str]:
        """What can be set."""

    def setting(self, name: str) -> KnownSetting:
        """What there is to say of one."""

    def text(self, name: str) -> str:
        """The value of one, as it is typed."""

    def choices(self, name: str) -> Sequence[str]:
        """What one may be set to, where that can be told."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a line can refer to at one time.

    Attributes:
        workers: Gives the numbers of the server's workers, as far as they are known, and what to say of each.
        targets: Gives what `:connect` may be given: names from the configuration, recent addresses.
        variables: Values by the names that lines know them by, without the dollar sign.
        aliases: Lines by the words that stand for them.
        settings: What can be set.
        learnt: Values of earlier replies.
        paths: Lists the paths that begin with a text.
    """

    targets: Callable[[], Sequence[str]] = tuple
    workers: Callable[[], Sequence[tuple[str, str]]] = tuple
    variables: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    settings: KnownSettings | None = None
    learnt: LearntValues | None = None
    paths: Callable[[str], Iterable[PathChoice]] = list_paths


NO_SURROUNDINGS: Final = Surroundings()
