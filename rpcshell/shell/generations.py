"""Whether who sent a reply may offer something else by now than it has told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpcshell.client.target import Target
    from rpcwire import Meta

__all__ = ["Generations"]


class Generations:
    """The generations of a server, or of each instance of a fleet, by the replies to calls."""

    def __init__(self) -> None:
        self._known: dict[Target | None, int | None] = {}

    def changed(self, instance: Target | None, meta: Meta | None, *, reconnected: bool) -> bool:
        """Take a reply, and say whether its sender was reloaded, or connected to anew and so may have been restarted.

        Args:
            instance: Which instance of a fleet it is from; None where there is only one.
            meta: Who answered, where that was told.
            reconnected: Whether the connection was made for this call.
        """
        met, former = instance in self._known, self._known.get(instance)
        self._known[instance] = generation = former if meta is None else meta.generation
        reloaded = former is not None and generation != former
        # The first connection to an instance follows none that was lost.
        return reloaded or (reconnected and (met or instance is None))
