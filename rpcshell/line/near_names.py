"""Near names for "did you mean": found within a budget, since servers choose what names there are."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

_MOST_LOOKED_AT: Final = 1_000


def near_names(name: str, known: Iterable[str], limit: int = 1, *, nearness: float = 0.6) -> list[str]:
    """The known names that look like what was typed, best first; of very many known ones the first are looked at.

    The nearness is how alike they must be, from 0 to 1, as `difflib` counts it.
    """
    # Only who mistypes waits for this.
    from rpcwire.name_budget import closest

    alike = (other for other in islice(known, _MOST_LOOKED_AT) if len(other) <= 4 * len(name))
    return closest(name, alike, limit, nearness)
