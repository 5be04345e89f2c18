"""The targets that the user can name: those of the configuration, those that were used before, and any address.

Nothing here connects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rpcshell.client.dialect_names import OWN, is_dialect_name, names_dialect, names_native, unknown_dialect
from rpcshell.client.errors import UsageError
from rpcshell.client.target import ListTarget, ServersetTarget, Target
from rpcshell.line.near_names import near_names
from rpcshell.shell.config import Config
from rpcshell.shell.target_config import TargetConfig, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcshell.client.dialects import DialectFactory
    from rpcshell.servers.target_memory import TargetMemory


class Destination(msgspec.Struct, frozen=True):
    """A target and how to talk to it; its name is that of the configuration, or its address."""

    target: Target
    name: str
    named: bool = False
    """Whether it was said what the target speaks, so that nobody has to find out."""
    dialects: Mapping[str, DialectFactory] = {}
    """Those of the configuration, one of which may be spoken there."""
    config: TargetConfig = TargetConfig()
    """What the configuration says of it."""


class AddressBook:
    """Finds targets by name or address: those of the configuration, and those that the memory has."""

    def __init__(self, config: Config | None = None, memory: Callable[[], TargetMemory] | None = None) -> None:
        config = config or Config()
        self.dialects: Mapping[str, DialectFactory] = config.dialects
        self._named = config.targets
        self._refused = config.refused
        self._memory = memory
        self._recent: list[str] | None = None

    def find(self, where: Target | str) -> Destination:
        """The target that a name or an address means.

        Raises:
            UsageError: It means none, or the configuration names a variable that is not set.
        """
        if isinstance(where, Target):
            return Destination(where, str(where), named=bool(where.dialect), dialects=self.dialects)
        if where in self._refused:
            raise self._refused[where]
        if (found := self._named.get(where)) is not None:
            target = found.target_among(self.dialects)
            named = found.dialect is not None or names_native(found.address or "") or bool(target.dialect)
            return Destination(filled(target), where, named, self.dialects, found)
        try:
            target = Target.parse(where, self.dialects)
        except UsageError as error:
            if near := near_names(where, [*self._named, *self._refused]):
                hint = f"did you mean {near[0]}?"
            elif self._may_mean_dialect(where):
                raise unknown_dialect(where.partition(":")[0], self.dialects) from None
            elif self._named and where.replace("-", "").replace("_", "").isalnum():
                hint = f"the configuration names {', '.join(self._named)}; any other is host:port"
            else:
                raise error from None
            raise UsageError(f"there is no target {where!r}", hint=hint) from None
        named = bool(target.dialect) or names_native(where)
        return Destination(target, str(target), named=named, dialects=self.dialects)

    def _may_mean_dialect(self, where: str) -> bool:
        """Whether a dialect is misspelt before an address, or alone before a child's command."""
        name, _, place = where.partition(":")
        misspelt = is_dialect_name(name) and not names_dialect(name, self.dialects) and not place.startswith("//")
        return misspelt and bool(near_names(name, [*OWN, *self.dialects]))

    def names(self) -> tuple[str, ...]:
        """What can be connected to by name, and what was connected to before, the last one first."""
        return tuple(dict.fromkeys((*self._named, *self._used())))

    def used(self, name: str) -> None:
        """Remember that a target is being used; one with a name needs no remembering."""
        if self._memory is None or name in self._named:
            return
        recent = self._used()
        if recent[:1] != [name]:
            self._recent = [name, *(other for other in recent if other != name)]
            self._memory().used(name)

    def _used(self) -> list[str]:
        # Completion asks at every key; the file is read once.
        if self._recent is None:
            self._recent = list(self._memory().recent()) if self._memory is not None else []
        return self._recent


def short_name(name: str | None, target: Target) -> str:
    """A target as the prompt names it: as the user does, or of a fleet its service, or the first of its servers."""
    if name is not None and name != str(target):
        return name
    match target:
        case ServersetTarget(url=url):
            scheme, _, rest = url.partition("://")
            return f"{scheme}://…/{rest.rpartition('/')[2]}"
        case ListTarget(targets=targets):
            return f"{targets[0]},…"
    return str(target)
