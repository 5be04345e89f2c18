"""Drills: harm done to a server of one's own on purpose, with a timeline of what came of it.

Here they are by name. `drill` runs one: it follows the server and keeps calling it as any client would (`probe`). What
harm is done is in `workers`, `starving` and `flood`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rpcshell.lab.drills.drill import Drill
from rpcshell.lab.drills.flood import flood
from rpcshell.lab.drills.starving import hold, slow
from rpcshell.lab.drills.workers import freeze, kill, reload, scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.shell import Shell

_DRILLS: Final[dict[str, Callable[..., None]]] = {
    "flood": flood,
    "freeze": freeze,
    "hold": hold,
    "kill": kill,
    "reload": reload,
    "scale": scale,
    "slow": slow,
}


def perform(shell: Shell, name: str, call: str | None, *details: object, **harm: Any) -> None:
    """Perform a drill of that name with its details, while something is called; `Drill` documents the harm it does."""
    with Drill(shell, name, call, **harm) as drill:
        _DRILLS[name](drill, *details)
