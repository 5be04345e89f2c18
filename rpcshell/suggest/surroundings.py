"""What a shell knows beside the line and the methods of its target, as completion needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rpcshell.suggest.paths import PathChoice, list_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rpcshell.learnt import LearntValues
    from rpcshell.settings import Settings


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
    settings: Settings | None = None
    learnt: LearntValues | None = None
    paths: Callable[[str], Iterable[PathChoice]] = list_paths


NO_SURROUNDINGS: Final = Surroundings()
